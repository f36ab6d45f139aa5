"""Client and the devices of a plan on one machine: one layer, encrypted, computed as the plan says."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.observe.perfetto import merge_traces
from aegis_fhe.placement.plan_check import first_difference
from aegis_fhe.placement.plan_file import StoredPlan
from aegis_fhe.placement.traffic import Key
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.ring import native
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.runtime.launch import LaunchOptions, WorkerReport, launch
from aegis_fhe.runtime.ledger import LedgerError
from aegis_fhe.runtime.mesh.planned import PlannedProgram
from aegis_fhe.service.client import Client
from aegis_fhe.service.decoder_file import save_decoder
from aegis_fhe.service.job import WAITING, JobFiles
from aegis_fhe.service.plan_worker import DeviceReport, PlanWorkerConfig
from aegis_fhe.service.result_rows import join_rows

Array = NDArray[np.float64]
WORKER_MODULE = "aegis_fhe.service.plan_worker"


@dataclass(frozen=True, kw_only=True)
class PlanRun:
    """values: decrypted hidden states [tokens, features]. digest: of the result ciphertexts. devices: what
    each rank reports. peak_bytes: of each process. seconds: of the steps, client's included.
    """

    values: Array
    digest: str
    devices: tuple[DeviceReport, ...]
    peak_bytes: tuple[int, ...]
    seconds: Mapping[str, float]

    @property
    def received(self) -> list[dict[Key, int]]:
        """Bytes of each rank, as `Traffic.received`."""
        return [{(axis, stage, kind): n for axis, stage, kind, n in one.received} for one in self.devices]


def run_plan(
    stored: StoredPlan,
    planned: PlannedProgram,
    program: DecoderProgram,
    client: Client,
    hidden: Array,
    *,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
    on_progress: Callable[[ProgressEvent], None] | None = None,
    on_output: Callable[[int, str], None] | None = None,
    trace: Path | None = None,
) -> PlanRun:
    """Writes plan, program, keys and ciphertexts, runs a worker for each device, decrypts.

    program: the planned layer as one that files hold. hidden [tokens, features]: the text. threads: of each
    worker, by default its share of the cores. trace: where to write what every device did when
    (`observe.perfetto`), also when one fails. Raises WorkerError; LedgerError when a device received other
    bytes than were predicted.
    """
    seconds: dict[str, float] = {}

    def step(name: str, action: Callable[[], Any]) -> Any:
        say(name)
        start = time.monotonic()
        found = action()
        seconds[name] = time.monotonic() - start
        return found

    with tempfile.TemporaryDirectory(prefix="aegis-") as temporary:
        files, plan = JobFiles(folder=Path(temporary)), Path(temporary) / "plan.json"
        (input_file,) = files.inputs
        (results,) = files.results(planned.mesh.schedule.mesh.world_size)
        plan.write_bytes(msgspec.json.encode(stored))
        save_decoder(program, files.program)
        step("encrypt", lambda: client.write_input(hidden, input_file))
        step("keys", lambda: client.write_keys(files.keys, durable=False))
        config = _config(plan, files, results, program)
        with traced(config, files.folder, trace):
            reports = step("devices", lambda: _launched(config, threads, on_progress, on_output))
        devices = tuple(msgspec.convert(report.result, DeviceReport) for report in reports)
        rows = step("join", lambda: join_rows(program, planned.mesh, results))
        result = step("decrypt", lambda: client.decrypted(rows, len(hidden)))
    run = PlanRun(
        values=result.hidden,
        digest=result.digest,
        devices=devices,
        peak_bytes=tuple(report.peak_bytes for report in reports),
        seconds=seconds,
    )
    check_bytes(planned.prediction.traffic.received, run.received)
    return run


def check_bytes(predicted: Sequence[Mapping[Key, int]], received: Sequence[Mapping[Key, int]]) -> None:
    """Of every rank. Raises LedgerError naming the first rank, stage and kind that differ."""
    difference = first_difference(predicted, received)
    if difference is not None:
        raise LedgerError(f"measured bytes are not those that were predicted: {difference}")


def _config(
    plan: Path, files: JobFiles, results: Sequence[Path], program: DecoderProgram
) -> PlanWorkerConfig:
    return PlanWorkerConfig(
        plan=str(plan),
        program=str(files.program),
        keys=str(files.keys),
        input=str(files.inputs[0]),
        results=[str(path) for path in results],
        kernels=native.choose_path(program.params.kernel_path),
    )


@contextmanager
def traced(config: PlanWorkerConfig, folder: Path, trace: Path | None) -> Iterator[None]:
    """Workers log in the folder; what they logged is merged, also when one of them failed."""
    if trace is None:
        yield
        return
    logs = [folder / f"trace-{rank}.jsonl" for rank in range(len(config.results))]
    config.traces = [str(path) for path in logs]
    try:
        yield
    finally:
        merge_traces([path for path in logs if path.exists()], trace)


def _launched(
    config: PlanWorkerConfig,
    threads: int | None,
    on_progress: Callable[[ProgressEvent], None] | None,
    on_output: Callable[[int, str], None] | None,
) -> list[WorkerReport]:
    options = LaunchOptions(world_size=len(config.results), threads=threads, environment=WAITING)
    facts = msgspec.to_builtins(config)
    return launch(WORKER_MODULE, facts, options, on_progress=on_progress, on_output=on_output)
