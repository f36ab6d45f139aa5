"""What a plan predicts, held against what follows from its places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.plan_file import CURE, StoredPlan, StoredTraffic
from aegis_fhe.placement.prediction import Prediction
from aegis_fhe.placement.traffic import Key


def stored_traffic(received: Sequence[Mapping[Key, int]]) -> StoredTraffic:
    """Of each rank, sorted."""
    return tuple(tuple((*key, count) for key, count in sorted(one.items())) for one in received)


def predicted_traffic(stored: StoredPlan) -> list[dict[Key, int]]:
    """Of each rank, as `Traffic.received`."""
    return [{(axis, stage, kind): count for axis, stage, kind, count in one} for one in stored.received]


def check_prediction(stored: StoredPlan, found: Prediction) -> None:
    """Raises CompatibilityError where the file predicts something else than follows from its places."""
    said, follows = predicted_traffic(stored), found.traffic.received
    if len(said) != len(follows):
        raise CompatibilityError(
            f"the plan predicts bytes of {len(said)} ranks, its mesh has {len(follows)}: {CURE}"
        )
    difference = first_difference(said, follows)
    if difference is not None:
        raise CompatibilityError(
            f"what the plan predicts does not follow from its places: {difference}; {CURE}"
        )
    if stored.memory != asdict(found.memory):
        raise CompatibilityError(
            f"the plan says that a device needs {sum(stored.memory.values())} bytes; from its places follow "
            f"{found.memory.total}: {CURE}"
        )


def first_difference(expected: Sequence[Mapping[Key, int]], found: Sequence[Mapping[Key, int]]) -> str | None:
    """In words, the first rank and kind of collective whose bytes differ; None where all are equal."""
    for rank, (own, other) in enumerate(zip(expected, found, strict=True)):
        for key in sorted({*own, *other}):
            if own.get(key, 0) != other.get(key, 0):
                axis, stage, kind = key
                return (
                    f"rank {rank}, {kind} of stage {stage!r} over axis {axis!r}: {own.get(key, 0)} bytes "
                    f"expected, {other.get(key, 0)} found"
                )
    return None
