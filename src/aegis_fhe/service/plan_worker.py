"""The worker of a plan: one device of its mesh. Reads plan, program, keys and ciphertexts, writes its rows.

Knows no secret.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from aegis_fhe.observe.trace import TraceLog
from aegis_fhe.placement.shape_memory import DeviceMemory
from aegis_fhe.runtime.garbage import no_collection
from aegis_fhe.runtime.worker import WorkerContext, run_worker
from aegis_fhe.service.worker import FORBIDDEN

if TYPE_CHECKING:
    from aegis_fhe.runtime.mesh import MeshCommunicators, MeshDevice
    from aegis_fhe.runtime.mesh.observer import StepObserver
    from aegis_fhe.runtime.mesh.planned import PlannedProgram


class PlanWorkerConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Files; plan: of one plan alone (`StoredPlan`); results[r]: what rank r writes; traces[r]: where it logs
    what it does, if anywhere.
    """

    plan: str
    program: str
    keys: str
    input: str
    results: list[str]
    kernels: str
    traces: list[str] = []


class DeviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """received: [axis, stage, kind, bytes]; seconds: by stage, waiting for others included; waiting: of these
    between nodes; exchanging: of these in exchanges of limbs, inside nodes; run_seconds: of the whole share,
    all devices there at its beginning; processor_seconds: of all threads in that time, the transport's too;
    held: at the fullest moment.
    """

    received: list[tuple[str, str, str, int]]
    seconds: dict[str, float]
    waiting: dict[str, float]
    exchanging: dict[str, float]
    run_seconds: float
    processor_seconds: float
    held: DeviceMemory
    threads: int
    kernels: str
    secret_modules: list[str]


def work(context: WorkerContext) -> Any:
    """One device's share of the layer."""
    with no_collection():
        from aegis_fhe.placement.plan_file import StoredPlan
        from aegis_fhe.ring import native
        from aegis_fhe.runtime.mesh import MeshDevice, connect_mesh
        from aegis_fhe.runtime.mesh.planned import PlannedProgram
        from aegis_fhe.service.ciphertexts_file import load_input
        from aegis_fhe.service.decoder_file import open_decoder
        from aegis_fhe.service.keys_file import load_keys
        from aegis_fhe.service.result_rows import save_rows

    config = msgspec.convert(context.config, PlanWorkerConfig)
    world = context.connect()
    native.set_threads(context.threads)
    context.report("load", 0.0)
    stored = msgspec.json.decode(Path(config.plan).read_bytes(), type=StoredPlan)
    with open_decoder(Path(config.program)) as opened, _log(config, context.rank) as log:
        program = opened.with_kernels(config.kernels)
        planned = PlannedProgram.of(stored, program.layer(0))
        job = load_input(program, Path(config.input))
        weight = program.bootstrap.weight
        keys = load_keys(program.params, program.key_requests(), Path(config.keys), sparse_weight=weight)
        communicators = connect_mesh(world, planned.mesh.schedule.mesh)
        communicators.use_host_memory()
        device = MeshDevice(planned.mesh, program.params, keys, communicators)
        context_of_run = planned.layer.context(job.facts.tokens)
        device.prepare(context_of_run)
        mine = {name: block for name, block in job.blocks.items() if device.reads(name)}
        # What the plan says that a run takes at its fullest moment is there, touched, before it begins.
        taken = stored.memory["activations"] + stored.memory["workspace"]
        program.params.ring.arena.reserve(taken)
        inputs = {name: block.expand(program.params) for name, block in mine.items()}
        observer = _observer(context, planned, device, log)
        world.barrier("start")
        if log is not None:
            log.meet()
        context.report("run", 0.0)
        start = time.monotonic(), time.process_time()
        execution = device.run(inputs, context_of_run, observer)
        spent = time.monotonic() - start[0], time.process_time() - start[1]
        world.barrier("end")
        save_rows(job.facts, execution.results, Path(config.results[context.rank]))
    report = DeviceReport(
        received=[(*key, count) for key, count in sorted(communicators.received().items())],
        seconds=dict(execution.seconds),
        waiting=dict(execution.waiting),
        exchanging=_exchanging(communicators),
        run_seconds=spent[0],
        processor_seconds=spent[1],
        held=execution.held,
        threads=context.threads,
        kernels=program.params.ring.path,
        secret_modules=sorted(name for name in sys.modules if name.startswith(FORBIDDEN)),
    )
    return msgspec.to_builtins(report)


def _observer(
    context: WorkerContext, planned: PlannedProgram, device: MeshDevice, log: TraceLog | None
) -> StepObserver:
    """Says how far the device is, and logs what it does where that was asked for."""
    from aegis_fhe.runtime.mesh.observer import Observers
    from aegis_fhe.runtime.mesh.reported import ReportedSteps
    from aegis_fhe.runtime.mesh.traced import TracedSteps

    weights = planned.node_seconds(device.communicators.group)
    reported = ReportedSteps(context.progress(sum(weights.values())), weights)
    if log is None:
        return reported
    arena = device.params.ring.arena
    return Observers([reported, TracedSteps(log, planned.mesh, device.communicators, arena)])


def _log(config: PlanWorkerConfig, rank: int) -> AbstractContextManager[TraceLog | None]:
    return TraceLog(config.traces[rank], rank) if config.traces else nullcontext()


def _exchanging(communicators: MeshCommunicators) -> dict[str, float]:
    found = defaultdict[str, float](float)
    for limbs in (communicators.limbs, communicators.team):
        for entry in limbs.ledger.entries:
            if not entry.control:
                found[entry.node] += entry.end - entry.start
    return dict(found)


if __name__ == "__main__":
    run_worker(work, forbidden=FORBIDDEN)
