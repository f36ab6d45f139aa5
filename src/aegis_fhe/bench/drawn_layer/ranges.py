"""Where a layer's values lay on one text: the ranges that its approximations are made for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import msgspec
import numpy as np

from aegis_fhe.bench.drawn_layer.weights import SHIFT
from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.long.shape import LayerRanges, LayerShape
from aegis_fhe.program.network import Attention, Network
from aegis_fhe.program.ranges import Interval

# By name: what each node of the reference made; by name and ".in": its first input.
Seen = Mapping[str, Array]
# How far the unit of scores lies below the highest score, where there are rounds.
_BELOW = 0.7


def measured_ranges(shape: LayerShape, network: Network, hidden: Array, seen: Seen) -> LayerRanges:
    """With a margin of a tenth, of a fifth for variances, of a half for scores."""
    attention, queries, keys = _attention(network)
    # Masked scores pass through exp as well, before their mask.
    everything = msgspec.structs.replace(attention, causal=False)
    scores = everything.scores(seen[queries], seen[keys]) - SHIFT
    score = Interval(float(scores.min()) - 0.5, float(scores.max()) + 0.5)
    visible = attention.scores(seen[queries], seen[keys]) - SHIFT
    stream = [hidden, *(seen[name] for name in ("middle", "sum", network.result))]
    return LayerRanges(
        score=score,
        denominator=_widened(np.exp(visible - score.high).sum(axis=2), 0.1),
        first_norm=_widened(_variances(shape, seen["first.in"]), 0.2),
        second_norm=_widened(_variances(shape, seen["second.in"]), 0.2),
        activation=_bound(seen["gate" if shape.gated else "up"]),
        up=_bound(seen["up"]),
        hidden=_bound(*stream),
        normalised=_bound(*(_bare(shape, seen[f"{name}.in"]) for name in ("first", "second"))),
        value=_bound(seen["attention"]),
    )


def with_rounds(ranges: LayerRanges, network: Network, seen: Seen, rounds: int) -> LayerRanges:
    """The same with the denominators of every division; the unit lies below the highest score."""
    if not rounds:
        return ranges
    attention, queries, keys = _attention(network)
    unit = ranges.score.high - _BELOW
    scores = attention.scores(seen[queries], seen[keys]) - SHIFT
    y, found = np.exp((scores - unit) / 2.0**rounds), []
    for _ in range(rounds + 1):
        sums = y.sum(axis=2, keepdims=True)
        found.append(_widened(sums, 0.1))
        y = (y / sums) ** 2
    return dataclasses.replace(ranges, denominator=found[-1], rounds=tuple(found[:-1]), unit=unit)


def _attention(network: Network) -> tuple[Attention, str, str]:
    """The operator, and the names of its queries and keys."""
    node = next(node for node in network.nodes if node.name == "attention")
    assert isinstance(node.operator, Attention)
    return node.operator, node.inputs[0], node.inputs[1]


def _bound(*values: Array) -> float:
    return 1.1 * max(float(np.abs(value).max()) for value in values)


def _widened(values: Array, margin: float) -> Interval:
    """Around positive numbers."""
    return Interval((1 - margin) * float(values.min()), (1 + margin) * float(values.max()))


def _variances(shape: LayerShape, x: Array) -> Array:
    """Or mean squares."""
    mean = x.mean(axis=1, keepdims=True) if shape.norm == "layer" else 0.0
    variances: Array = ((x - mean) ** 2).mean(axis=1)
    return variances


def _bare(shape: LayerShape, x: Array) -> Array:
    """The norm without its affine part."""
    x = x - x.mean(axis=1, keepdims=True) if shape.norm == "layer" else x
    bare: Array = x / np.sqrt((x**2).mean(axis=1, keepdims=True))
    return bare
