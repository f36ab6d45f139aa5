"""The front between bytes and seconds as plain data, and in words how neighbours on it differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from aegis_fhe.placement.choose import Planned
from aegis_fhe.placement.one_device import OneDevice
from aegis_fhe.placement.report import evaluation_facts


def front_facts(points: Sequence[Planned], one_device: OneDevice) -> list[dict[str, Any]]:
    """From the fastest to the fewest bytes; each as a strategy's plan, with the way of every operator."""
    return [
        {
            "bytes_received_per_device": point.evaluation.traffic.most,
            **evaluation_facts(point.evaluation, one_device),
            "ways": dict(point.ways),
        }
        for point in points
    ]


def describe_change(before: Planned, after: Planned) -> str:
    """`columns: qkv, output; everywhere: first norm`: which operators are computed in other ways, and how.

    An operator is called by its stage, where that has several by its first node too.
    """
    several = Counter(_stage(name) for name in after.ways)
    by_way: dict[str, list[str]] = {}
    for name, way in after.ways.items():
        if before.ways.get(name) != way:
            called = _stage(name) if several[_stage(name)] == 1 else name.replace(": ", " ")
            by_way.setdefault(way, []).append(called)
    parts = [f"{way}: {', '.join(names)}" for way, names in by_way.items()]
    old, new = (point.evaluation.rendering.variant for point in (before, after))
    return "; ".join([f"{new} instead of {old}"] * (old != new) + parts)


def _stage(name: str) -> str:
    return name.partition(": ")[0]
