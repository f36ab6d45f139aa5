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
from aegis_fhe.runtime.out_of_memory import memory_for
from aegis_fhe.runtime.worker import WorkerContext, run_worker
from aegis_fhe.service.worker import FORBIDDEN

if TYPE_CHECKING:
    from aegis_fhe.placement.plan_file import StoredPlan
    from aegis_fhe.runtime.collectives import Communicator
    from aegis_fhe.runtime.mesh import Checkpoints, MeshCommunicators, MeshDevice
    from aegis_fhe.runtime.mesh.observer import StepObserver
    from aegis_fhe.runtime.mesh.planned import PlannedProgram


class PlanWorkerConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Files; plan: of one plan alone (`StoredPlan`); results[r]: what rank r writes; traces[r]: where it logs
    what it does, if anywhere. checkpoints: a folder, if any, for the states of at most `cuts` cuts.
    host_memory: whether ranks of one host exchange through it.
    """

    plan: str
    program: str
    keys: str
    input: str
    results: list[str]
    kernels: str
    traces: list[str] = []
    checkpoints: str = ""
    cuts: int = 0
    host_memory: bool = True


class DeviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """received: [axis, stage, kind, bytes]; seconds: by stage, waiting for others included; waiting: of these
    between nodes; exchanging: of these in exchanges of limbs, inside nodes; run_seconds: of the whole share,
    all devices there at its beginning; processor_seconds: of all threads in that time, the transport's too;
    held: at the fullest moment; begin: how many nodes were done in a checkpoint that it began with, of whose
    run all figures but those two of seconds are too.
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
    begin: int = 0


def work(context: WorkerContext) -> Any:
    """One device's share of the layer."""
    with no_collection():
        from aegis_fhe.placement.plan_file import StoredPlan
        from aegis_fhe.ring import native
        from aegis_fhe.runtime.gpus import finish
        from aegis_fhe.runtime.mesh import MeshDevice, connect_mesh
        from aegis_fhe.runtime.mesh.planned import PlannedProgram
        from aegis_fhe.service.ciphertexts_file import load_input
        from aegis_fhe.service.decoder_file import open_decoder
        from aegis_fhe.service.keys_file import load_keys
        from aegis_fhe.service.result_rows import save_rows

    config = msgspec.convert(context.config, PlanWorkerConfig)
    world = context.connect(config.kernels)
    native.set_threads(context.threads)
    context.report("load", 0.0)
    stored = msgspec.json.decode(Path(config.plan).read_bytes(), type=StoredPlan)
    with open_decoder(Path(config.program)) as opened, _log(config, context.rank) as log:
        program = opened.with_kernels(context.kernels)
        planned = PlannedProgram.of(stored, program.layer(0))
        job = load_input(program, Path(config.input))
        weight = program.bootstrap.weight
        keys = load_keys(program.params, program.key_requests(), Path(config.keys), sparse_weight=weight)
        communicators = connect_mesh(world, planned.mesh.schedule.mesh, host_memory=config.host_memory)
        device = MeshDevice(planned.mesh, program.params, keys, communicators)
        context_of_run = planned.layer.context(job.facts.tokens)
        device.prepare(context_of_run)
        mine = {name: block for name, block in job.blocks.items() if device.reads(name)}
        # What the plan says that a run takes at its fullest moment is there, touched, before it begins.
        taken = stored.memory["activations"] + stored.memory["workspace"]
        program.params.ring.arena.reserve(taken)
        inputs = {name: block.expand(program.params) for name, block in mine.items()}
        saved = _checkpoints(config, device, world) if config.checkpoints else None
        begin = 0 if saved is None or saved.begin is None else saved.begin.position
        observer = _observer(context, planned, device, begin, log)
        world.barrier("start")
        if log is not None:
            log.meet()
        context.report("run", 0.0)
        start = time.monotonic(), time.process_time()
        with memory_for(_predicted(stored, context.rank)):
            execution = device.run(inputs, context_of_run, observer, saved)
            finish(world.device)
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
        begin=begin,
    )
    return msgspec.to_builtins(report)


def _observer(
    context: WorkerContext, planned: PlannedProgram, device: MeshDevice, begin: int, log: TraceLog | None
) -> StepObserver:
    """Says how far the device is, from node `begin` on, and logs what it does where that was asked for."""
    from aegis_fhe.runtime.mesh.observer import Observers
    from aegis_fhe.runtime.mesh.reported import ReportedSteps
    from aegis_fhe.runtime.mesh.traced import TracedSteps

    every, position = planned.node_seconds(device.communicators.group), planned.mesh.schedule.position
    weights = {name: seconds for name, seconds in every.items() if position[name] >= begin}
    reported = ReportedSteps(context.progress(sum(weights.values())), weights)
    if log is None:
        return reported
    arena = device.params.ring.arena
    return Observers([reported, TracedSteps(log, planned.mesh, device.communicators, arena)])


def _log(config: PlanWorkerConfig, rank: int) -> AbstractContextManager[TraceLog | None]:
    return TraceLog(config.traces[rank], rank) if config.traces else nullcontext()


def _checkpoints(config: PlanWorkerConfig, device: MeshDevice, world: Communicator) -> Checkpoints:
    """Where to stop, and the state to begin with: all ranks ask for it together."""
    from aegis_fhe.placement.cuts import choose_cuts
    from aegis_fhe.runtime.mesh import Checkpoints
    from aegis_fhe.service.checkpoints import RankCheckpoints, digest_of_job

    mesh, params = device.program, device.params
    files = (Path(config.plan), Path(config.program), Path(config.input), Path(config.keys))
    own = RankCheckpoints(Path(config.checkpoints), digest_of_job(*files), world, _say)
    begin = own.load(mesh, params)
    if begin is not None and world.rank == 0:
        every = len(mesh.schedule.position)
        _say(f"the run goes on from a checkpoint: {begin.position} of {every} nodes are done")
    cuts = choose_cuts(mesh.schedule, mesh.facts, params, mesh.layout, mesh.results, config.cuts)
    return Checkpoints(cuts=cuts, save=own.save, begin=begin)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _predicted(stored: StoredPlan, rank: int) -> str:
    """Of memory, for the error that says that there is none."""
    parts = ", ".join(f"{kind} {count / 2**30:.2f}" for kind, count in stored.memory.items())
    total = sum(stored.memory.values()) / 2**30
    return f"rank {rank} of {stored.devices} (the plan predicts {total:.2f} GiB besides the process: {parts})"


def _exchanging(communicators: MeshCommunicators) -> dict[str, float]:
    found = defaultdict[str, float](float)
    for limbs in (communicators.limbs, communicators.team):
        for entry in limbs.ledger.entries:
            if not entry.control:
                found[entry.node] += entry.end - entry.start
    return dict(found)


if __name__ == "__main__":
    run_worker(work, forbidden=FORBIDDEN)
