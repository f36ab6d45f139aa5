"""Client and the devices of a plan on one machine: one layer, encrypted, computed as the plan says."""

from __future__ import annotations

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
from aegis_fhe.runtime.collectives import TIMEOUT_S
from aegis_fhe.runtime.elastic import launch_elastic
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.runtime.gpus import require_gpu_memory, require_gpus
from aegis_fhe.runtime.launch import LaunchOptions, WorkerReport, launch
from aegis_fhe.runtime.ledger import LedgerError
from aegis_fhe.runtime.mesh.planned import PlannedProgram
from aegis_fhe.service.client import Client
from aegis_fhe.service.decoder_file import save_decoder
from aegis_fhe.service.job import WAITING
from aegis_fhe.service.plan_folder import PlanFolder, folder_of, write_whole
from aegis_fhe.service.plan_job import PlanJob
from aegis_fhe.service.plan_worker import DeviceReport
from aegis_fhe.service.result_rows import join_rows

Array = NDArray[np.float64]
WORKER_MODULE = "aegis_fhe.service.plan_worker"
ELASTIC_MODULE = "aegis_fhe.service.plan_elastic"


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
    kernels: str | None = None,
    threads: int | None = None,
    timeout_s: float = TIMEOUT_S,
    job: PlanJob | None = None,
    say: Callable[[str], None] = lambda line: None,
    on_progress: Callable[[ProgressEvent], None] | None = None,
    on_output: Callable[[int, str], None] | None = None,
    trace: Path | None = None,
) -> PlanRun:
    """Writes plan, program, keys and ciphertexts, runs a worker for each device, decrypts.

    program: the planned layer as one that files hold. hidden [tokens, features]: the text. kernels: the
    workers' path, by default the program's; of "cuda" each takes a GPU. threads: of each worker, by default
    its share of the cores. timeout_s: how long a worker waits for another. job: keeps files and checkpoints
    in a folder, by default nothing outlives the run. trace: where to write what every device did when
    (`observe.perfetto`), also when one fails. Raises ParameterError and CapacityError where a worker would
    have no GPU, WorkerError; LedgerError when a device received other bytes than were predicted.
    """
    seconds: dict[str, float] = {}

    def step(name: str, action: Callable[[], Any]) -> Any:
        say(name)
        start = time.monotonic()
        found = action()
        seconds[name] = time.monotonic() - start
        return found

    world_size, own = planned.mesh.schedule.mesh.world_size, job or PlanJob(cuts=0)
    path = native.choose_path(program.params.kernel_path if kernels is None else kernels)
    if own.one_host:
        require_gpus(path, world_size)
        require_gpu_memory(path, sum(stored.memory.values()), "a device of the plan")
    launching = LaunchOptions(
        world_size=world_size, threads=threads, environment=WAITING, collective_timeout_s=timeout_s
    )
    with folder_of(job) as folder:
        write_whole(folder.plan, msgspec.json.encode(stored))
        save_decoder(program, folder.files.program)
        step("encrypt", lambda: client.write_input(hidden, folder.files.inputs[0]))
        step("keys", lambda: client.write_keys(folder.files.keys, durable=job is not None))
        folder.begin(own.options(launching, path, traces=trace is not None))
        with traced(folder, world_size, trace):
            reports = step("devices", lambda: _reports(folder, job, launching, say, on_progress, on_output))
        devices = tuple(msgspec.convert(report.result, DeviceReport) for report in reports)
        rows = step("join", lambda: join_rows(program, planned.mesh, folder.results(world_size)))
        result = step("decrypt", lambda: client.decrypted(rows, len(hidden)))
        folder.end()
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


@contextmanager
def traced(folder: PlanFolder, world_size: int, trace: Path | None) -> Iterator[None]:
    """What workers logged in the folder is merged, also when one of them failed."""
    try:
        yield
    finally:
        if trace is not None:
            logs = [folder.trace(rank) for rank in range(world_size)]
            merge_traces([path for path in logs if path.exists()], trace)


def _reports(
    folder: PlanFolder,
    job: PlanJob | None,
    options: LaunchOptions,
    say: Callable[[str], None],
    on_progress: Callable[[ProgressEvent], None] | None,
    on_output: Callable[[int, str], None] | None,
) -> list[WorkerReport]:
    """Of workers that ran once, that were started again where one failed, or that somebody else starts."""
    if job is None:
        config = folder.config(folder.options())
        return launch(WORKER_MODULE, config, options, on_progress=on_progress, on_output=on_output)
    if not job.one_host:
        return folder.wait(options.world_size, say)
    where = [str(folder.folder)]
    launch_elastic(ELASTIC_MODULE, where, options, job.restarts, on_progress=on_progress, on_output=say)
    return folder.reports(options.world_size)
