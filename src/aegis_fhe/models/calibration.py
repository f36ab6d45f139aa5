"""Calibration of an attention sub-layer: the shifts that narrow its ranges, and the ranges that remain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError
from aegis_fhe.models.extremes import Extremes
from aegis_fhe.program.capture import AttentionSubLayer, LinearLayer
from aegis_fhe.program.ranges import AttentionRanges, Interval

Array = NDArray[np.float64]

# Margins beyond what calibration text shows: natural logarithms for scores and denominators, a factor for
# variances.
SCORE_MARGIN_BELOW = 15.0
# Above its range 1/D explodes, below it is only less exact: above gets what the division affords.
LOG_SUM_EXP_MARGIN, WIDEST_LOG_SUM_EXP_MARGIN = 0.8, 3.0
DENOMINATOR_MARGIN_BELOW = 0.8
VARIANCE_FACTOR = 1.6
# A head is anchored to the previous token when that narrows its log-sum-exp to less than this share.
ANCHOR_GAIN = 0.6
_ROUNDS = 60
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class _Sample:
    """One text: hidden states [n, d], queries and keys [heads, n, head_dim], scaled scores [heads, n, n]."""

    hidden: Array
    queries: Array
    keys: Array
    scores: Array

    @property
    def previous(self) -> Array:
        """[heads, n]: the score of the previous token; of itself for the first."""
        before = np.diagonal(self.scores, -1, 1, 2)
        return np.concatenate([self.scores[:, :1, 0], before], axis=1)


def calibrate_attention(
    layer: AttentionSubLayer, texts: Sequence[Array], origin: str, *, smallest_denominator: float = 1.0
) -> AttentionRanges:
    """Ranges of the sub-layer on hidden states [n, d] of sample texts, with margins. See `AttentionRanges`.

    For every head the log-sum-exp of a row of scores is predicted by an affine function of the query with the
    smallest largest error (Lawson's iteration), with and without the previous token's score; what the
    prediction leaves over is the width of the denominators. smallest_denominator: the share of the largest
    that the division reaches; what the texts leave of it becomes margin above. Raises RangeError without
    texts.
    """
    if not texts:
        raise RangeError("calibration needs at least one text")
    samples = [_sample(layer, np.asarray(text, dtype=np.float64)) for text in texts]
    offsets, shifts, anchors = [], [], []
    for head in range(layer.heads):
        offset, shift, anchor = _predict(samples, head, layer.score_scale)
        offsets.append(tuple(offset.tolist()))
        shifts.append(shift)
        anchors.append(anchor)
    relative = [
        _relative_scores(s, np.array(offsets), np.array(shifts), np.array(anchors), layer.score_scale)
        for s in samples
    ]
    log_sums = [_log_sum_exp(r) for r in relative]
    low = min(float(r.min()) for r in relative) - SCORE_MARGIN_BELOW
    smallest = min(float(ell.min()) for ell in log_sums) - DENOMINATOR_MARGIN_BELOW
    largest = max(float(ell.max()) for ell in log_sums)
    left = -math.log(smallest_denominator) - (largest - smallest)
    high = largest + min(max(left, LOG_SUM_EXP_MARGIN), WIDEST_LOG_SUM_EXP_MARGIN)
    variances = np.concatenate([layer.residual(s.hidden).var(axis=1) for s in samples])
    return AttentionRanges(
        key_offset=tuple(offsets),
        shift=tuple(shifts),
        anchor=tuple(anchors),
        score=Interval(low, high),
        denominator=Interval(float(np.exp(smallest - high)), 1.0),
        variance=Interval(float(variances.min()) / VARIANCE_FACTOR, float(variances.max()) * VARIANCE_FACTOR),
        origin=origin,
    )


def extremes(layer: AttentionSubLayer, ranges: AttentionRanges, hidden: Array) -> list[Extremes]:
    """Of scores, softmax denominators and variances in one text, beside their ranges."""
    sample = _sample(layer, np.asarray(hidden, dtype=np.float64))
    relative = _relative_scores(
        sample,
        np.array(ranges.key_offset),
        np.array(ranges.shift),
        np.array(ranges.anchor),
        layer.score_scale,
    )
    with np.errstate(over="ignore"):  # far outside
        denominator = np.exp(_log_sum_exp(relative) - ranges.score.high)
    variance = layer.residual(sample.hidden).var(axis=1)
    return [
        Extremes.of("scores", relative, ranges.score),
        Extremes.of("softmax denominators", denominator, ranges.denominator),
        Extremes.of("variances", variance, ranges.variance),
    ]


def violations(layer: AttentionSubLayer, ranges: AttentionRanges, hidden: Array) -> list[str]:
    """What of one text lies outside calibrated ranges, in words; empty when all is inside."""
    return [found.words() for found in extremes(layer, ranges, hidden) if found.outside]


def _sample(layer: AttentionSubLayer, hidden: Array) -> _Sample:
    def heads(linear: LinearLayer) -> Array:
        projected = (hidden @ linear.weight.T + linear.bias).reshape(len(hidden), layer.heads, -1)
        by_head: Array = projected.transpose(1, 0, 2)
        return by_head

    queries, keys = heads(layer.query), heads(layer.key)
    return _Sample(hidden, queries, keys, queries @ keys.transpose(0, 2, 1) * layer.score_scale)


def _relative_scores(s: _Sample, offsets: Array, shifts: Array, anchors: Array, score_scale: float) -> Array:
    """s' of `AttentionRanges`, [heads, n, n]."""
    prediction = np.einsum("hnc,hc->hn", s.queries, offsets) * score_scale + shifts[:, None]
    relative: Array = s.scores - (prediction + anchors[:, None] * s.previous)[:, :, None]
    return relative


def _log_sum_exp(scores: Array) -> Array:
    top = scores.max(axis=2)
    result: Array = top + np.log(np.exp(scores - top[:, :, None]).sum(axis=2))
    return result


def _predict(samples: Sequence[_Sample], head: int, score_scale: float) -> tuple[Array, float, float]:
    """(key offset, shift, anchor) of one head."""
    queries = np.concatenate([s.queries[head] for s in samples]) * score_scale
    design = np.concatenate([queries, np.ones((len(queries), 1))], axis=1)
    target = np.concatenate([_log_sum_exp(s.scores[head : head + 1])[0] for s in samples])
    previous = np.concatenate([s.previous[head] for s in samples])
    plain, anchored = (
        smallest_largest_error(design, target),
        smallest_largest_error(design, target - previous),
    )
    use_anchor = anchored[1] < ANCHOR_GAIN * plain[1]
    solution = (anchored if use_anchor else plain)[0]
    return solution[:-1], float(solution[-1]), 1.0 if use_anchor else 0.0


def smallest_largest_error(design: Array, target: Array) -> tuple[Array, float]:
    """(solution, max |target - design @ solution|), nearly the smallest possible: damped Lawson weights.

    Rows whose weight has become negligible are left out of the solution, not of its error.
    """
    weights = np.ones(len(target))
    best, smallest = np.zeros(design.shape[1]), np.inf
    ridge = 1e-9 * len(target) * np.eye(design.shape[1])
    for _ in range(_ROUNDS):
        heavy = weights > _NEGLIGIBLE * weights.max()
        rows, wanted = design[heavy], target[heavy]
        weighted = rows * weights[heavy, None]
        solution = np.linalg.solve(weighted.T @ rows + ridge, weighted.T @ wanted)
        error = np.abs(target - design @ solution)
        largest = float(error.max())
        if largest < smallest:
            best, smallest = solution, largest
        weights *= error / max(largest, 1e-12) + 0.3
        weights /= weights.mean()
    return best, smallest
