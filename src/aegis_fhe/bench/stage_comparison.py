"""Seconds of each stage, predicted beside measured, and which part of them makes the difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

from aegis_fhe.placement.evaluate import STAGES, in_stage
from aegis_fhe.placement.plan_file import StoredMachine
from aegis_fhe.placement.timeline import Timeline
from aegis_fhe.runtime.mesh.planned import PlannedProgram
from aegis_fhe.service.plan_worker import DeviceReport

TOTAL = "total"


@dataclass(frozen=True, kw_only=True)
class StageSeconds:
    """Of one device. waiting: for values and links, between nodes; exchanging: limbs, inside nodes."""

    computing: float
    waiting: float
    exchanging: float

    @property
    def total(self) -> float:
        """Everything."""
        return self.computing + self.waiting + self.exchanging

    @classmethod
    def predicted(cls, found: Timeline, stage: str) -> StageSeconds:
        """Of a reported stage."""
        inside = in_stage(found.inside, stage)
        waiting = max(in_stage(found.exposed, stage) - inside, 0.0)  # sums in another order
        return cls(computing=in_stage(found.busy, stage), waiting=waiting, exchanging=inside)

    @classmethod
    def measured(cls, found: DeviceReport, stage: str) -> StageSeconds:
        """The same of a device that ran."""
        waiting, inside = in_stage(found.waiting, stage), in_stage(found.exchanging, stage)
        computing = in_stage(found.seconds, stage) - waiting - inside
        return cls(computing=computing, waiting=waiting, exchanging=inside)

    def __add__(self, other: StageSeconds) -> StageSeconds:
        return self._with(other, lambda x, y: x + y)

    def __sub__(self, other: StageSeconds) -> StageSeconds:
        return self._with(other, lambda x, y: x - y)

    def _with(self, other: StageSeconds, join: Callable[[float, float], float]) -> StageSeconds:
        mine, its = asdict(self), asdict(other)
        return StageSeconds(**{part: join(mine[part], its[part]) for part in mine})


@dataclass(frozen=True, kw_only=True)
class StageComparison:
    """Of one stage on one device."""

    predicted: StageSeconds
    measured: StageSeconds

    @property
    def difference(self) -> StageSeconds:
        """How much longer it took."""
        return self.measured - self.predicted

    @property
    def explained_by(self) -> str:
        """The part that differs most the way in which the whole differs."""
        found, sign = asdict(self.difference), 1 if self.difference.total >= 0 else -1
        return max(found, key=lambda part: sign * found[part])

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        three = {name: getattr(self, name) for name in ("predicted", "measured", "difference")}
        found = {name: {**asdict(one), TOTAL: one.total} for name, one in three.items()}
        return {**found, "explained_by": self.explained_by}


def comparison_facts(planned: PlannedProgram, devices: Sequence[DeviceReport]) -> dict[str, Any]:
    """Of the slowest device, and of what was predicted for its group; all stages, then their total."""
    rank = max(range(len(devices)), key=lambda r: devices[r].run_seconds)
    group, _ = planned.mesh.schedule.mesh.place(rank)
    stages = compared(planned.timelines[group], devices[rank])
    return {
        "rank": rank,
        "threads": devices[rank].threads,
        "run_seconds": devices[rank].run_seconds,
        "processor_seconds": devices[rank].processor_seconds,
        "machine": machine_facts(planned.machine),
        "stages": {name: one.facts() for name, one in stages.items()},
    }


def compared(predicted: Timeline, measured: DeviceReport) -> Mapping[str, StageComparison]:
    """Of every reported stage, and of all together."""
    found = {
        name: StageComparison(
            predicted=StageSeconds.predicted(predicted, name), measured=StageSeconds.measured(measured, name)
        )
        for name in STAGES
    }
    every = found.values()
    total = StageComparison(
        predicted=reduce(StageSeconds.__add__, (one.predicted for one in every)),
        measured=reduce(StageSeconds.__add__, (one.measured for one in every)),
    )
    return {**found, TOTAL: total}


def machine_facts(machine: StoredMachine) -> dict[str, Any]:
    """What seconds were predicted for. measured: whether neither device nor link is a projection; threads:
    with how many it was.
    """
    device, network = machine.device, machine.network
    return {
        "measured": machine.measured,
        "device": device.name,
        "device_provenance": device.provenance,
        "threads": device.threads,
        "link": network.name,
        "link_measured": network.measured,
    }
