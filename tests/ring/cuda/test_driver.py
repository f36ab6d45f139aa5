"""What the engine asks of NVIDIA's driver, answered by one in its place (fake_driver.cpp).

It runs the kernels on emulated threads, so the whole way is proved without a GPU: loading, launches and their
grids, streams, tables and scratch, and what is said when the driver refuses.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_fhe.ring.cuda.compiler import SOURCES

HERE = Path(__file__).parent
COMPILER = os.environ.get("CXX", "c++")

pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"no compiler {COMPILER}")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("driver")
    command = [COMPILER, "-O1", "-std=c++17", "-ffp-contract=off", "-shared", "-fPIC", f"-I{SOURCES}"]
    command += [str(HERE / "fake_driver.cpp"), "-o", str(folder / "libcuda.so.1")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def driven(driver: Path, case: str, **failures: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(driver), **failures}
    return subprocess.run(
        [sys.executable, str(HERE / "driven.py"), case],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


@pytest.mark.parametrize("case", ["fp64", "words"])
def test_every_operation_has_the_bits_of_the_host(driver: Path, case: str) -> None:
    done = driven(driver, case)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_a_program_has_the_bits_of_the_host(driver: Path) -> None:
    done = driven(driver, "program")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("failures", "message"),
    [
        ({"FAKE_INIT": "100"}, "the driver did not start: refused (CUDA error 100)"),
        ({"FAKE_ALLOCATE": "2"}, "memory for a table on cuda:0: out of memory (CUDA error 2)"),
        ({"FAKE_LAUNCH": "209"}, "kernel entrywise on cuda:0: no kernel image is available (CUDA error 209)"),
    ],
)
def test_a_refusal_is_told_in_the_drivers_words(driver: Path, failures: dict[str, str], message: str) -> None:
    done = driven(driver, "refusal", **failures)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == message
