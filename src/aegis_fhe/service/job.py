"""Starts the workers of a job and brings their reports together. Knows file names, no key and no data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from aegis_fhe.errors import CapacityError
from aegis_fhe.placement.plan import plan_tokens
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.ring import native
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.runtime.gpus import require_gpu_memory, require_gpus
from aegis_fhe.runtime.launch import LaunchOptions, WorkerReport, launch
from aegis_fhe.runtime.ledger import Ledger, merge
from aegis_fhe.runtime.memory import available_bytes
from aegis_fhe.runtime.memory_estimate import MemoryEstimate, estimate_memory

WORKER_MODULE = "aegis_fhe.service.worker"
DECODER_MODULE = "aegis_fhe.service.decoder_worker"

# Threads that spin for long while they wait take the cores from those they wait for when anything else runs:
# on 2 busy cores, relinearise + rotate + rescale at N = 2^16 took 0.65 s spinning, 0.39 s sleeping. Some
# microseconds of it bridge the gap between two kernels: a rotation on 2 idle cores took 20.0 ms, not 21.3.
WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "5000"}


@dataclass(frozen=True, kw_only=True)
class JobFiles:
    """Where the files of a job on `texts` texts lie."""

    folder: Path
    texts: int = 1

    @classmethod
    def found_in(cls, folder: Path) -> JobFiles:
        """A client's folder: as many texts as it has inputs, one at least."""
        return cls(folder=folder, texts=max(1, len(list(folder.glob("input*.aegis")))))

    @property
    def program(self) -> Path:
        """The compiled program."""
        return self.folder / "program.aegis"

    @property
    def keys(self) -> Path:
        """Evaluation keys."""
        return self.folder / "keys.aegis"

    @property
    def inputs(self) -> list[Path]:
        """The client's ciphertexts, a file for each text."""
        return [self.folder / f"input{self._number(i)}.aegis" for i in range(self.texts)]

    def results(self, world_size: int) -> list[list[Path]]:
        """For each text, one file of results for each worker."""
        return [
            [self.folder / f"result{self._number(i)}-{rank}.aegis" for rank in range(world_size)]
            for i in range(self.texts)
        ]

    def _number(self, text: int) -> str:
        return f"-{text}" if self.texts > 1 else ""


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """What a job took. seconds: by stage, the slowest worker's. peak_bytes, kernels: of each worker."""

    seconds: dict[str, float]
    peak_bytes: list[int]
    kernels: list[str]
    bytes_between_devices: int
    predicted_bytes: int
    ledger: Ledger


def require_memory(
    program: CompiledProgram, devices: int, estimates: Sequence[MemoryEstimate] | None = None
) -> Sequence[MemoryEstimate]:
    """Estimates of all workers of this machine; raises CapacityError before any work when they do not fit.

    estimates: of the same program and devices, where they are known from an earlier call.
    """
    if estimates is None:
        plan = plan_tokens(program, devices)
        estimates = [estimate_memory(program, plan, rank) for rank in range(devices)]
    needed, available = sum(e.total_bytes for e in estimates), available_bytes()
    if needed > available:
        raise CapacityError(
            f"{devices} worker(s) need {needed / 2**30:.1f} GiB of memory, "
            f"{available / 2**30:.1f} GiB are available: use fewer devices on this machine, "
            "or a machine with more memory"
        )
    return estimates


def run_job(
    program: CompiledProgram,
    files: JobFiles,
    devices: int,
    *,
    threads: int | None = None,
    estimates: Sequence[MemoryEstimate] | None = None,
    on_progress: Callable[[ProgressEvent], None] | None = None,
    on_output: Callable[[int, str], None] | None = None,
) -> JobReport:
    """Runs the files' job on `devices` worker processes of this machine; results of all texts, or none.

    The workers use the program's kernel path, by default the best one; of "cuda" each takes a GPU. estimates:
    see `require_memory`. Raises ParameterError, CapacityError, WorkerError.
    """
    plan = plan_tokens(program, devices)
    estimates = require_memory(program, devices, estimates)
    kernels = native.choose_path(program.params.kernel_path)
    require_gpus(kernels, devices)
    require_gpu_memory(kernels, max(e.device_bytes for e in estimates), f"each of {devices} worker(s)")
    reports = _launched(
        WORKER_MODULE,
        kernels,
        files,
        LaunchOptions(world_size=devices, threads=threads, environment=WAITING),
        on_progress,
        on_output,
    )
    return _merge(reports, plan.bytes_between_devices() * files.texts)


def run_decoder_job(
    program: DecoderProgram,
    files: JobFiles,
    *,
    threads: int | None = None,
    on_progress: Callable[[ProgressEvent], None] | None = None,
    on_output: Callable[[int, str], None] | None = None,
) -> JobReport:
    """As `run_job`, on one worker, which holds one layer's constants at a time. Raises WorkerError."""
    options = LaunchOptions(world_size=1, threads=threads, environment=WAITING)
    kernels = native.choose_path(program.params.kernel_path)
    return _merge(_launched(DECODER_MODULE, kernels, files, options, on_progress, on_output), 0)


def _launched(
    module: str,
    kernels: str,
    files: JobFiles,
    options: LaunchOptions,
    on_progress: Callable[[ProgressEvent], None] | None,
    on_output: Callable[[int, str], None] | None,
) -> list[WorkerReport]:
    """The reports of workers that all finished; else no result is left behind."""
    results = files.results(options.world_size)
    config = {
        "program": str(files.program),
        "keys": str(files.keys),
        "inputs": [str(path) for path in files.inputs],
        "results": [[str(path) for path in paths] for paths in results],
        "kernels": kernels,
    }
    try:
        return launch(module, config, options, on_progress=on_progress, on_output=on_output)
    except BaseException:
        for path in chain.from_iterable(results):  # some workers may have finished
            path.unlink(missing_ok=True)
        raise


def _merge(reports: list[WorkerReport], predicted: int) -> JobReport:
    ledger = merge([Ledger.from_json(report.result["ledger"]) for report in reports])
    stages: dict[str, float] = {}
    for report in reports:
        for stage, seconds in report.result["seconds"].items():
            stages[stage] = max(seconds, stages.get(stage, 0.0))
    return JobReport(
        seconds=stages,
        peak_bytes=[report.peak_bytes for report in reports],
        kernels=[report.result["kernels"] for report in reports],
        bytes_between_devices=ledger.bytes_received,
        predicted_bytes=predicted,
        ledger=ledger,
    )
