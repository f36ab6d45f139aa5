"""Calibration of whole encoders: where the values of every layer lie on sample texts, with margins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError
from aegis_fhe.models.calibration import VARIANCE_FACTOR, calibrate_attention, violations
from aegis_fhe.program.encoder import EncoderLayer, EncoderLayerRanges, EncoderRanges
from aegis_fhe.program.encoder_ranges import TokenIntervals
from aegis_fhe.program.ranges import Interval

Array = NDArray[np.float64]

# Bounds exceed the largest size that sample text shows by this factor.
BOUND_FACTOR = 1.25


def calibrate_encoder(layers: Sequence[EncoderLayer], texts: Sequence[Array], origin: str) -> EncoderRanges:
    """Ranges of every layer on hidden states [n, d] of sample texts. Raises RangeError without texts."""
    if not texts:
        raise RangeError("calibration needs at least one text")
    found, hidden = [], list(texts)
    for layer in layers:
        ranges, hidden = _calibrate_layer(layer, hidden, origin)
        found.append(ranges)
    return EncoderRanges(layers=tuple(found), output=_bound(hidden), origin=origin)


def _calibrate_layer(
    layer: EncoderLayer, texts: Sequence[Array], origin: str
) -> tuple[EncoderLayerRanges, list[Array]]:
    """Ranges of one layer, and its outputs."""
    attention = layer.attention
    values = [x @ attention.value.weight.T + attention.value.bias for x in texts]
    middle, hidden, sums = zip(*(layer.sums(x) for x in texts), strict=True)
    ranges = EncoderLayerRanges(
        attention=calibrate_attention(attention, texts, origin),
        hidden=_bound(texts),
        value=_bound(values),
        middle=_bound(middle),
        activation=_bound(hidden),
        residual=_bound([z - z.mean(axis=1, keepdims=True) for z in sums]),
        variance=_token_intervals([z.var(axis=1) for z in sums]),
    )
    return ranges, [layer.normalise(z) for z in sums]


def _bound(texts: Sequence[Array]) -> float:
    return BOUND_FACTOR * max(float(np.abs(x).max()) for x in texts)


def _token_intervals(variances: Sequence[Array]) -> TokenIntervals:
    """Of the first token, the last, and those between, in every text."""
    inner = [v[1:-1] for v in variances if len(v) > 2]
    return TokenIntervals(
        opening=_interval(np.array([v[0] for v in variances])),
        inner=_interval(np.concatenate(inner)),
        closing=_interval(np.array([v[-1] for v in variances])),
    )


def _interval(values: Array) -> Interval:
    return Interval(float(values.min()) / VARIANCE_FACTOR, float(values.max()) * VARIANCE_FACTOR)


def encoder_violations(layers: Sequence[EncoderLayer], ranges: EncoderRanges, hidden: Array) -> list[str]:
    """What of one text lies outside the calibrated ranges, in words, by layer; empty when all is inside.

    For whoever holds both text and weights: a value outside makes the encrypted result wrong, unseen.
    """
    found, x = [], np.asarray(hidden, dtype=np.float64)
    for index, (layer, known) in enumerate(zip(layers, ranges.layers, strict=True)):
        y, units, z = layer.sums(x)
        v = x @ layer.attention.value.weight.T + layer.attention.value.bias
        centred = z - z.mean(axis=1, keepdims=True)
        words = violations(layer.attention, known.attention, x)
        sizes = {"input": (x, known.hidden), "V": (v, known.value), "first result": (y, known.middle)}
        sizes |= {"activation input": (units, known.activation), "second sum": (centred, known.residual)}
        for name, (values, bound) in sizes.items():
            largest = float(np.abs(values).max())
            if largest > bound:
                words.append(f"{name} up to {largest:.4g}, calibrated {bound:.4g}")
        words += _variance_violations(z.var(axis=1), known.variance)
        found += [f"layer {index}: {word}" for word in words]
        x = layer.normalise(z)
    return found


def _variance_violations(variance: Array, known: TokenIntervals) -> list[str]:
    kinds = {
        "first token": (variance[:1], known.opening),
        "words": (variance[1:-1], known.inner),
        "last token": (variance[1:][-1:], known.closing),
    }
    return [
        f"second variance, {name}: [{values.min():.4g}, {values.max():.4g}], "
        f"calibrated [{interval.low:.4g}, {interval.high:.4g}]"
        for name, (values, interval) in kinds.items()
        if len(values) and (values.min() < interval.low or values.max() > interval.high)
    ]
