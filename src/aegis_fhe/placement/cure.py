"""What to change where a strategy does not fit: looked for by making the plan, not guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from aegis_fhe.errors import CapacityError, LayoutError
from aegis_fhe.placement.compare import AEGIS, Comparison, Verdict
from aegis_fhe.placement.workload import Workload

# How often as many devices are tried.
FACTORS = (2, 4)


@dataclass(frozen=True, kw_only=True)
class Cure:
    """A plan that fits. strategy, devices: its own; memory_bytes: of its fullest device."""

    strategy: str
    devices: int
    memory_bytes: int


def find_cure(name: str, workload: Workload, verdicts: Mapping[str, Verdict]) -> Cure | None:
    """The first plan that fits: another of `verdicts`, more devices, or shared limbs; None if none does."""
    for strategy, devices, verdict in _candidates(name, workload, verdicts):
        if verdict.fits:
            return Cure(strategy=strategy, devices=devices, memory_bytes=verdict.best.memory.total)
    return None


def _candidates(
    name: str, workload: Workload, verdicts: Mapping[str, Verdict]
) -> Iterator[tuple[str, int, Verdict]]:
    for other, verdict in verdicts.items():
        yield other, verdict.best.plan.mesh.world_size, verdict
    # A plan takes longer to make than what it is likely to be beaten by in memory.
    more = "limb_parallel" if name == AEGIS else name
    trials = [(more, factor * workload.devices) for factor in FACTORS if name != "single"]
    if "limb_parallel" not in verdicts:
        trials.append(("limb_parallel", workload.devices))
    for strategy, devices in trials:
        try:
            yield strategy, devices, Comparison(replace(workload, devices=devices)).verdict(strategy)
        except (CapacityError, LayoutError):
            continue
