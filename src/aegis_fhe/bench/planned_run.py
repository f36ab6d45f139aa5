"""One encrypted layer of a plan's shape, weights and text drawn, run as the plan says and held against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aegis_fhe.bench.drawn_layer import DrawnLayer, draw_layer
from aegis_fhe.bench.stage_comparison import comparison_facts
from aegis_fhe.placement.plan_check import check_prediction
from aegis_fhe.placement.plan_file import StoredPlan
from aegis_fhe.placement.plan_storing import rendering_of
from aegis_fhe.placement.planned_layer import PlannedLayer
from aegis_fhe.placement.traffic import Key
from aegis_fhe.program.long.compile import LongProgram, compile_layer
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.program.long.layout import Array
from aegis_fhe.ring import native
from aegis_fhe.runtime.collectives import TIMEOUT_S
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.runtime.memory import available_bytes, require_memory
from aegis_fhe.runtime.memory_estimate import PROCESS_BYTES
from aegis_fhe.runtime.mesh.planned import PlannedProgram
from aegis_fhe.service.client import Client
from aegis_fhe.service.plan_job import PlanJob
from aegis_fhe.service.plan_session import PlanRun, run_plan


@dataclass(frozen=True, eq=False)
class DrawnProgram:
    """A plan with a layer that it can be run on."""

    stored: StoredPlan
    drawn: DrawnLayer
    planned: PlannedProgram

    @classmethod
    def of(cls, stored: StoredPlan, layer: PlannedLayer, seed: int) -> DrawnProgram:
        """Raises CompatibilityError for a plan of another layer, or whose figures do not follow from it."""
        rendering = rendering_of(stored, layer)
        drawn = draw_layer(layer.shape, layer.tokens, seed, rounds=len(layer.degrees.rounds))
        program = compile_layer(
            layer.shape,
            drawn.weights,
            drawn.ranges,
            tokens=layer.tokens,
            bootstrap=layer.bootstrap,
            degrees=layer.degrees,
            packing=rendering.packing,
            most_scores=0,
        )
        planned = PlannedProgram.of(stored, program.divided(rendering.division))
        check_prediction(stored, planned.prediction)
        return cls(stored, drawn, planned)

    @property
    def layer(self) -> LongProgram:
        """In its parts."""
        return self.planned.layer

    def run(
        self,
        key_seed: bytes | None,
        *,
        kernels: str | None = None,
        threads: int | None = None,
        timeout_s: float = TIMEOUT_S,
        job: PlanJob | None = None,
        say: Callable[[str], None] = lambda line: None,
        on_progress: Callable[[ProgressEvent], None] | None = None,
        trace: Path | None = None,
    ) -> dict[str, Any]:
        """Facts of one run. kernels, threads, timeout_s, job, on_progress, trace, raises: as `run_plan`. say:
        told each step, and what workers print.
        """
        program = DecoderProgram.single(self.layer, f"drawn weights, {self.stored.model}")
        client = Client(program, seed=key_seed)
        found = run_plan(
            self.stored,
            self.planned,
            program,
            client,
            self.drawn.hidden,
            kernels=kernels,
            threads=threads,
            timeout_s=timeout_s,
            job=job,
            say=say,
            on_progress=on_progress,
            on_output=lambda rank, line: say(f"worker {rank}: {line}"),
            trace=trace,
        )
        return run_facts(self, found)


def require_room(stored: StoredPlan, at_once: int | None = None, kernels: str | None = None) -> None:
    """Raises CapacityError when so many devices of a plan, by default all of them, each a process, take more
    than this machine has; on GPUs that is `run_plan`'s to say.
    """
    if kernels is not None and native.on_gpu(kernels):
        return
    each, devices = sum(stored.memory.values()), stored.devices if at_once is None else at_once
    require_memory(
        (each + PROCESS_BYTES) * devices,
        f"to run {devices} devices of {each / 2**30:.2f} GiB, as the plan predicts, on one machine, "
        f"each in a process that takes {PROCESS_BYTES / 2**30:.2f} GiB itself,",
        available=available_bytes(),
        cure="run it where there is more memory, or plan for fewer devices or a shorter text",
    )


def run_facts(drawn: DrawnProgram, found: PlanRun) -> dict[str, Any]:
    """bits: -log2 of the largest error over the root mean square of the exact result."""
    clear, exact = drawn.layer.run_clear(drawn.drawn.hidden), drawn.drawn.result
    memory, stages = drawn.planned.prediction.memory, dict[str, float]()
    for device in found.devices:
        for stage, seconds in device.seconds.items():
            stages[stage] = max(seconds, stages.get(stage, 0.0))
    return {
        "model": drawn.stored.model,
        "strategy": drawn.stored.strategy,
        "rendering": drawn.stored.variant,
        "tokens": drawn.stored.tokens,
        "devices": drawn.stored.devices,
        "mesh": asdict(drawn.planned.mesh.schedule.mesh),
        "security_bits": drawn.layer.params.security_bits,
        "received_bytes": _by_kind(found.received),
        "predicted_received_bytes": _by_kind(drawn.planned.prediction.traffic.received),
        "stages": stages,
        "seconds": dict(found.seconds),
        "began_at": [device.begin for device in found.devices],
        "run_seconds": [device.run_seconds for device in found.devices],
        "comparison": comparison_facts(drawn.planned, found.devices),
        "processor_seconds": [device.processor_seconds for device in found.devices],
        "predicted_memory_bytes": memory.by_kind(),
        "held_bytes": [device.held.by_kind() for device in found.devices],
        "predicted_held_bytes": [one.by_kind() for one in drawn.planned.memories],
        "peak_process_bytes": list(found.peak_bytes),
        "bits": _bits(found.values, exact, exact),
        "bits_of_approximations": _bits(clear, exact, exact),
        "bits_of_noise": _bits(found.values, clear, exact),
        "kernels": found.devices[0].kernels,
        "secret_modules_in_workers": sorted({m for one in found.devices for m in one.secret_modules}),
        "result_digest": found.digest,
    }


def _by_kind(received: Sequence[Mapping[Key, int]]) -> list[list[list[Any]]]:
    """Of each rank [axis, stage, kind, bytes]."""
    return [[[*key, n] for key, n in sorted(one.items())] for one in received]


def _bits(x: Array, y: Array, exact: Array) -> float:
    largest = float(np.abs(x - y).max()) / float(np.sqrt((exact**2).mean()))
    return -math.log2(largest) if largest else math.inf
