"""A whole session with real worker processes: any number of them gives the same bits, at predicted bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aegis_fhe.errors import AegisError, CapacityError, LayoutError, RangeError, WorkerError
from aegis_fhe.placement.plan import plan_tokens
from aegis_fhe.program import CompiledProgram
from aegis_fhe.ring import native
from aegis_fhe.runtime.launch import WorkerReport
from aegis_fhe.service import job as job_module
from aegis_fhe.service import session as session_module
from aegis_fhe.service.ciphertexts_file import load_input, load_results, result_digest, save_results
from aegis_fhe.service.client import Client
from aegis_fhe.service.job import JobFiles, JobReport, require_memory, run_job
from aegis_fhe.service.session import run_session
from program.tiny import reference, tiny_program

from .conftest import SEED, Job, run_in_process, write_job


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[WorkerReport]:
    """What the workers of the last job brought home."""
    found: list[WorkerReport] = []
    launch = job_module.launch

    def listening(*args: Any, **kwargs: Any) -> list[WorkerReport]:
        found[:] = launch(*args, **kwargs)
        return found

    monkeypatch.setattr(job_module, "launch", listening)
    return found


def check_workers(
    program: CompiledProgram, devices: int, report: JobReport, reports: list[WorkerReport]
) -> None:
    """Bytes as predicted, by rank, by node, in sum; no secret-key module; no more memory than announced."""
    plan = plan_tokens(program, devices)
    assert report.bytes_between_devices == report.predicted_bytes == plan.bytes_between_devices()
    assert (report.bytes_between_devices > 0) == (devices > 1)
    report.ledger.check([pair for rank in range(devices) for pair in plan.received_bytes(rank)])
    assert [report.rank for report in reports] == list(range(devices))
    assert report.kernels == [native.default_path()] * devices
    assert [report.result["secret_modules"] for report in reports] == [[]] * devices
    for estimate, peak in zip(require_memory(program, devices), report.peak_bytes, strict=True):
        assert 0 < peak < estimate.total_bytes


def digest(program: CompiledProgram, files: JobFiles, devices: int) -> str:
    return result_digest(program.params, load_results(program, files.results(devices)[0]))


def test_one_and_two_workers_and_this_process_agree_bit_for_bit(
    tmp_path: Path, reports: list[WorkerReport]
) -> None:
    module, hidden, program = tiny_program(16, 11)
    folder = tmp_path / "with {braces} and blanks"
    folder.mkdir()
    tokens = 13  # padding in the last block
    stages: list[str] = []
    outcome = run_session(
        program,
        Client(program, seed=SEED),
        hidden[:tokens],
        devices=2,
        threads=1,
        folder=folder,
        on_progress=lambda event: stages.append(event.stage),
    )
    check_workers(program, 2, outcome.report, reports)
    result = outcome.result.hidden
    assert result.shape == (tokens, 32)
    assert 0 < np.abs(result - program.run_clear(hidden[:tokens]).hidden).max() < 1e-5
    assert np.abs(result - reference(module, hidden[:tokens])).max() < 1e-4
    assert {"load"} < set(stages) <= set(outcome.report.seconds)
    assert set(outcome.seconds) == {"encrypt", "keys", "workers", "decrypt"}
    files = JobFiles(folder=folder)
    written = [files.program, files.keys, files.inputs[0], *files.results(2)[0]]
    assert outcome.file_bytes == {path.name: path.stat().st_size for path in written}
    assert sorted(folder.iterdir()) == sorted(written)
    assert digest(program, files, 2) == outcome.result.digest

    report = run_job(program, files, 1, threads=1)
    check_workers(program, 1, report, reports)
    assert digest(program, files, 1) == outcome.result.digest
    assert result_digest(program.params, run_in_process(files)) == outcome.result.digest


def test_uneven_shares_of_four_blocks_agree_bit_for_bit(tmp_path: Path, reports: list[WorkerReport]) -> None:
    _, hidden, program = tiny_program(32, 10)
    assert program.blocks == 4
    files = write_job(program, Client(program, seed=SEED), hidden, tmp_path)
    expected = result_digest(program.params, run_in_process(files))
    report = run_job(program, files, 3, threads=1)
    check_workers(program, 3, report, reports)
    assert digest(program, files, 3) == expected


def test_results_depend_on_the_seed_and_without_one_on_chance(job: Job, tmp_path: Path) -> None:
    same = write_job(job.program, Client(job.program, seed=SEED), job.hidden, tmp_path / "same")
    assert same.keys.read_bytes() == job.files.keys.read_bytes()
    assert same.inputs[0].read_bytes() == job.files.inputs[0].read_bytes()
    digests = {result_digest(job.program.params, run_in_process(same))}
    for name, seed in [("other", SEED[::-1]), ("none", None)]:
        client = Client(job.program, seed=seed)
        files = write_job(job.program, client, job.hidden, tmp_path / name)
        results = run_in_process(files)
        save_results(load_input(job.program, files.inputs[0]).facts, results, files.results(1)[0][0])
        decrypted = client.read_results(files.results(1)[0], len(job.hidden))
        assert np.abs(decrypted.hidden - reference(job.module, job.hidden)).max() < 1e-4
        digests.add(decrypted.digest)
    assert len(digests) == 3


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_worker_that_is_given_a_damaged_file_says_so_and_no_result_is_left(
    job: Job, tmp_path: Path
) -> None:
    files = write_job(job.program, job.client, job.hidden, tmp_path)
    damage(files.keys)
    files.results(1)[0][0].write_bytes(b"of an earlier run, on other input")
    with pytest.raises(WorkerError, match=r"worker 0 of 1, at 'load', failed: ContainerError.*damaged"):
        run_job(job.program, files, 1, threads=1)
    assert sorted(tmp_path.iterdir()) == sorted([files.program, files.keys, files.inputs[0]])


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, empty."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def fail_to_start(*args: Any, **kwargs: Any) -> JobReport:
    raise WorkerError("worker 0 of 1 failed")


@pytest.mark.parametrize("keep", [True, False])
def test_no_file_is_left_when_the_workers_fail(
    keep: bool, job: Job, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def fail(program: CompiledProgram, files: JobFiles, *args: Any, **kwargs: Any) -> JobReport:
        seen.extend(path.name for path in files.folder.iterdir())
        raise WorkerError("worker 0 of 1 failed")

    monkeypatch.setattr(session_module, "run_job", fail)
    with pytest.raises(WorkerError):
        run_session(job.program, job.client, job.hidden, folder=nowhere if keep else None)
    assert sorted(seen) == ["input.aegis", "keys.aegis", "program.aegis"]
    assert list(nowhere.iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "devices", "error"),
    [
        ((17, 32), 1, RangeError),
        ((0, 32), 1, RangeError),
        ((16, 31), 1, LayoutError),
        ((16, 32), 3, AegisError),
    ],
    ids=str,
)
def test_bad_input_is_refused_before_keys_are_made_and_leaves_no_file(
    shape: tuple[int, ...],
    devices: int,
    error: type[AegisError],
    job: Job,
    nowhere: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job.client, "write_keys", lambda *args, **kwargs: pytest.fail("keys were made"))
    monkeypatch.setattr(session_module, "run_job", fail_to_start)
    for folder in (None, nowhere):
        with pytest.raises(error):
            run_session(job.program, job.client, np.zeros(shape), devices=devices, folder=folder)
    assert list(nowhere.iterdir()) == []


def test_too_little_memory_is_said_before_any_file_is_written(
    job: Job, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = sum(estimate.total_bytes for estimate in require_memory(job.program, 2))
    monkeypatch.setattr(job_module, "available_bytes", lambda: needed)
    require_memory(job.program, 2)
    monkeypatch.setattr(job_module, "available_bytes", lambda: needed - 1)
    monkeypatch.setattr(session_module, "save_program", lambda *args: pytest.fail("a file was written"))
    with pytest.raises(CapacityError, match=r"2 worker\(s\) need .* GiB .* are available: use fewer devices"):
        run_session(job.program, job.client, job.hidden, devices=2, folder=nowhere)
    with pytest.raises(CapacityError):
        run_job(job.program, job.files, 2)
    assert list(nowhere.iterdir()) == []
    require_memory(job.program, 1)
