"""How much faster several devices compute one encrypted layer than one does: measured, and projected.

Every world runs the planner's best plan for so many processes of this machine, kernels and link as measured
just before. Worlds take turns, so that a disturbance meets all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median, median_low
from typing import Any

from aegis_fhe.bench.planned_run import DrawnProgram, require_room
from aegis_fhe.bench.stage_comparison import TOTAL
from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.placement.compare import AEGIS, Comparison
from aegis_fhe.placement.evaluate import Evaluation, Machine
from aegis_fhe.placement.model_shapes import MODELS
from aegis_fhe.placement.plan_file import StoredPlan
from aegis_fhe.placement.plan_storing import stored_plan
from aegis_fhe.placement.planned_layer import PlannedLayer
from aegis_fhe.placement.workload import Workload
from aegis_fhe.program.long.shape import LayerShape

# As BERT's, with a sixth of its features and a twelfth of its units. At N = 2^12 512 tokens are four blocks,
# so that every stage has as many bootstraps as two devices share out evenly; on one core about 20 s.
SHAPE = LayerShape.encoder(features=128, heads=4, hidden=256)
Say = Callable[[str], None]


@dataclass
class World:
    """A number of devices with their plan, and the facts of its runs."""

    planned: Evaluation
    drawn: DrawnProgram
    runs: list[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, workload: Workload, say: Say) -> World:
        """Plans; raises CapacityError where that or the machine has no room."""
        found, stored, layer = best_plan(workload, say)
        require_room(stored)
        return cls(found, DrawnProgram.of(stored, layer, seed=1))

    @property
    def devices(self) -> int:
        """How many."""
        return self.planned.plan.mesh.world_size

    @property
    def seconds(self) -> list[float]:
        """Of each run, of its slowest device, from when all are ready."""
        return [max(run["run_seconds"]) for run in self.runs]

    def run(self, threads: int) -> float:
        """One more run, with keys of its own."""
        self.runs.append(self.drawn.run(None, threads=threads))
        return self.seconds[-1]

    def facts(self) -> dict[str, Any]:
        """waiting: of the slowest device's seconds the share that it did not compute; stages, comparison: its
        own in the run of median seconds.
        """
        comparison = self.runs[self.seconds.index(median_low(self.seconds))]["comparison"]
        timeline, memory = self.planned.timeline, self.planned.memory
        totals = [run["comparison"]["stages"][TOTAL]["measured"] for run in self.runs]
        return {
            "devices": self.devices,
            "rendering": self.planned.rendering.variant,
            "mesh": [self.planned.plan.mesh.tokens, self.planned.plan.mesh.limbs],
            "seconds": self.seconds,
            "processor_seconds": [sum(run["processor_seconds"]) for run in self.runs],
            "predicted_seconds": timeline.seconds,
            "waiting": median(1 - one["computing"] / one[TOTAL] for one in totals),
            "predicted_waiting": sum(timeline.exposed.values()) / timeline.seconds,
            "received_bytes": self.planned.traffic.most,
            "held_bytes": max(one["total"] for run in self.runs for one in run["held_bytes"]),
            "predicted_held_bytes": memory.total,
            "bits": min(run["bits"] for run in self.runs),
            "stages": {name: _both(one) for name, one in comparison["stages"].items() if name != TOTAL},
            "comparison": comparison,
        }


def best_plan(workload: Workload, say: Say) -> tuple[Evaluation, StoredPlan, PlannedLayer]:
    """The planner's, as a file holds it, and what it is a plan of. Raises CapacityError."""
    found = Comparison(workload).verdict(AEGIS).best
    layer = PlannedLayer.of_workload("encoder", workload)
    say(
        f"{workload.devices} device(s): {found.rendering.variant} on {found.plan.mesh.tokens} x "
        f"{found.plan.mesh.limbs}, predicted {found.timeline.seconds:.2f} s"
    )
    return found, stored_plan(layer, found), layer


def _both(stage: Mapping[str, Any]) -> dict[str, float]:
    return {"seconds": stage["measured"][TOTAL], "predicted_seconds": stage["predicted"][TOTAL]}


def scaling_workload(
    bootstrap: BootstrapPlan, machine: Machine, *, tokens: int, devices: int, memory_bytes: int
) -> Workload:
    """The layer that is measured, for least time."""
    return Workload(
        shape=SHAPE,
        degrees=MODELS["tiny"].degrees,
        tokens=tokens,
        bootstrap=bootstrap,
        machine=machine,
        devices=devices,
        memory_bytes=memory_bytes,
    )


def measure_scaling(worlds: Sequence[World], *, runs: int, threads: int, say: Say) -> dict[str, Any]:
    """`runs` runs of every world, in turn. speedup: by world, the median over turns of first world / this."""
    for turn in range(runs):
        for world in worlds:
            start = time.monotonic()
            seconds = world.run(threads)
            say(
                f"run {turn + 1} of {runs}, {world.devices} device(s): {seconds:.2f} s computing, "
                f"{time.monotonic() - start:.1f} s with keys and processes"
            )
    first = worlds[0]
    gains = {
        world.devices: [a / b for a, b in zip(first.seconds, world.seconds, strict=True)] for world in worlds
    }
    return {
        "threads": threads,
        "worlds": [world.facts() for world in worlds],
        "speedup": {str(devices): median(own) for devices, own in gains.items()},
        "efficiency": {str(devices): median(own) * first.devices / devices for devices, own in gains.items()},
    }


def measure_ceiling(world: World, copies: int, *, threads: int, say: Say) -> dict[str, Any]:
    """What this machine allows: so many runs of one device's plan at the same time, which share nothing else.

    speedup: copies * alone / together. What is below `copies` is lost to memory and caches, not to exchanges.
    """
    with ThreadPoolExecutor(copies) as pool:
        runs = list(pool.map(lambda _: world.drawn.run(None, threads=threads), range(copies)))
    together = max(max(run["run_seconds"]) for run in runs)
    say(f"{copies} runs of one device at the same time: {together:.2f} s")
    return {"copies": copies, "seconds": together, "speedup": copies * median(world.seconds) / together}


def projections(machine: Machine, bootstrap: BootstrapPlan, devices: Iterable[int]) -> list[dict[str, Any]]:
    """BERT-base, 2048 tokens, on so many devices as fast as the one that was measured."""
    found = []
    for count in devices:
        model = MODELS["bert-base"]
        workload = Workload(
            shape=model.layer,
            degrees=model.degrees,
            tokens=2048,
            bootstrap=bootstrap,
            machine=machine,
            devices=count,
            memory_bytes=machine.device.memory_bytes,
        )
        comparison = Comparison(workload)
        verdict = comparison.verdict(AEGIS)
        gain = comparison.one_device.speedup(verdict.best)
        found.append(
            {
                "devices": count,
                "link": machine.network.name,
                "rendering": verdict.best.rendering.variant,
                "fits": verdict.fits,
                "seconds": verdict.best.timeline.seconds,
                "speedup": gain,
                "efficiency": gain / count,
            }
        )
    return found
