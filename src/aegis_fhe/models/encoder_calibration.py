"""Calibration of whole encoders: where the values of every layer lie on sample texts, with margins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError
from aegis_fhe.models.calibration import VARIANCE_FACTOR, calibrate_attention, extremes
from aegis_fhe.models.extremes import Extremes
from aegis_fhe.program.encoder import (
    EncoderLayer,
    EncoderLayerRanges,
    EncoderRanges,
    FirstToken,
    Head,
    HeadRanges,
)
from aegis_fhe.program.encoder.fits import SMALLEST_DENOMINATOR
from aegis_fhe.program.encoder.pooled import ranges_of_head
from aegis_fhe.program.encoder_ranges import TokenIntervals
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.returns import HIDDEN_STATES

Array = NDArray[np.float64]

# Bounds exceed the largest size that sample text shows by this factor.
BOUND_FACTOR = 1.25


def calibrate_encoder(
    layers: Sequence[EncoderLayer], texts: Sequence[Array], origin: str, *, head: Head = HIDDEN_STATES
) -> EncoderRanges:
    """Ranges of every layer and the head on hidden states [n, d] of sample texts.

    Raises RangeError without texts.
    """
    if not texts:
        raise RangeError("calibration needs at least one text")
    found, hidden = [], list(texts)
    for layer in layers:
        ranges, hidden = _calibrate_layer(layer, hidden, origin)
        found.append(ranges)
    known = None
    if isinstance(head, FirstToken):
        known = head_ranges(head, np.stack([states[0] for states in hidden]))
    return EncoderRanges(layers=tuple(found), output=_bound(hidden), origin=origin, head=known)


def head_ranges(head: FirstToken, first: Array) -> HeadRanges:
    """Ranges of a head on the first tokens [texts, features] of sample texts, after the last layer."""
    argument = head.argument(first)
    logits = None if head.classifier is None else _bound([head.classify(np.tanh(argument))])
    return HeadRanges(pooler=_bound([argument]), logits=logits)


def _calibrate_layer(
    layer: EncoderLayer, texts: Sequence[Array], origin: str
) -> tuple[EncoderLayerRanges, list[Array]]:
    """Ranges of one layer, and its outputs."""
    attention = layer.attention
    values = [x @ attention.value.weight.T + attention.value.bias for x in texts]
    middle, hidden, sums = zip(*(layer.sums(x) for x in texts), strict=True)
    ranges = EncoderLayerRanges(
        attention=calibrate_attention(attention, texts, origin, smallest_denominator=SMALLEST_DENOMINATOR),
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


def encoder_extremes(
    layers: Sequence[EncoderLayer],
    ranges: EncoderRanges,
    hidden: Array,
    *,
    head: Head = HIDDEN_STATES,
) -> dict[str, list[Extremes]]:
    """Of every quantity in one text, by part: "layer 0" and so on, then "head" where there is one."""
    found: dict[str, list[Extremes]] = {}
    x = np.asarray(hidden, dtype=np.float64)
    for index, (layer, known) in enumerate(zip(layers, ranges.layers, strict=True)):
        y, units, z = layer.sums(x)
        v = x @ layer.attention.value.weight.T + layer.attention.value.bias
        centred = z - z.mean(axis=1, keepdims=True)
        found[f"layer {index}"] = [
            *extremes(layer.attention, known.attention, x),
            Extremes.of_size("input", x, known.hidden),
            Extremes.of_size("V", v, known.value),
            Extremes.of_size("first result", y, known.middle),
            Extremes.of_size("activation input", units, known.activation),
            Extremes.of_size("second sum", centred, known.residual),
            *_variances(z.var(axis=1), known.variance),
        ]
        x = layer.normalise(z)
    if isinstance(head, FirstToken):
        found["head"] = _head_extremes(head, ranges_of_head(head, ranges.head), x[:1])
    return found


def _head_extremes(head: FirstToken, ranges: HeadRanges, first: Array) -> list[Extremes]:
    argument = head.argument(first)
    found = [Extremes.of_size("tanh input", argument, ranges.pooler)]
    if ranges.logits is not None:
        found.append(Extremes.of_size("logits", head.classify(np.tanh(argument)), ranges.logits))
    return found


def encoder_violations(
    layers: Sequence[EncoderLayer], ranges: EncoderRanges, hidden: Array, *, head: Head = HIDDEN_STATES
) -> list[str]:
    """What of one text lies outside the calibrated ranges, in words, by part; empty when all is inside.

    For whoever holds both text and weights: a value outside makes the encrypted result wrong, unseen.
    """
    return [
        f"{part}: {found.words()}"
        for part, of_part in encoder_extremes(layers, ranges, hidden, head=head).items()
        for found in of_part
        if found.outside
    ]


def _variances(variance: Array, known: TokenIntervals) -> list[Extremes]:
    """One for each kind of token that the text has."""
    kinds = {
        "first token": (variance[:1], known.opening),
        "words": (variance[1:-1], known.inner),
        "last token": (variance[1:][-1:], known.closing),
    }
    return [
        Extremes.of(f"second variance, {name}", values, interval)
        for name, (values, interval) in kinds.items()
        if len(values)
    ]
