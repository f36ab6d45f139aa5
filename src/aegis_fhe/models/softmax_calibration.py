"""Calibration of one attention of a network: shifts of its scores, rounds of its softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.models.calibration import SCORE_MARGIN_BELOW, smallest_largest_error
from aegis_fhe.program.network import Attention
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.simulate import SoftmaxRanges
from aegis_fhe.program.simulate.softmax import visible_keys

Array = NDArray[np.float64]

# Natural logarithms, beyond what calibration text shows. Above wider than for one sub-layer: long texts have
# thousands of rows for each of hundreds of heads, and one row above its range spoils all tokens after it, for
# there 1/D explodes. A row below is only divided less exactly.
LOG_SUM_EXP_MARGIN, MARGIN_BELOW = 5.0, 0.5
# Of it, what exponentials may reach above 1.
EXCESS = 3.5
# A round is worth its levels when without it a denominator falls below this share of its largest value.
SMALLEST_DENOMINATOR_SHARE = 2.0**-13.5
MOST_ROUNDS = 2
_SQUARES_OF_SHARES = 1.05  # their sum, with what noise and an inexact division may add
_ROWS = 64  # of scores at a time


@dataclass(frozen=True, kw_only=True)
class ScoreRows:
    """The scores of one text's encrypted queries, row by row.

    queries: scaled, [heads, m, head_dim]. visible: keys that each sees, [m]. lowest: smallest score, [heads,
    m]. log_sums: log sum_j exp(s_j / 2^k) for k = 0..MOST_ROUNDS, [k, heads, m].
    """

    queries: Array
    visible: Array
    lowest: Array
    log_sums: Array


def score_rows(operator: Attention, queries: Array, keys: Array, public_tokens: int) -> ScoreRows:
    """Of Q [n, heads * head_dim] and K [n, kv * head_dim]; all keys count, public queries do not."""
    encrypted = queries[public_tokens:]
    by_head = encrypted.reshape(len(encrypted), operator.heads, -1).transpose(1, 0, 2) * operator.scale
    visible = visible_keys(operator, len(encrypted), len(keys))
    lowest = np.empty(by_head.shape[:2])
    log_sums = np.empty((MOST_ROUNDS + 1, *lowest.shape))
    for head, start in np.ndindex(operator.heads, -(-len(encrypted) // _ROWS)):
        rows = slice(start * _ROWS, (start + 1) * _ROWS)
        seen = int(visible[rows].max())
        scores = by_head[head, rows] @ keys[:seen, operator.key_features(head)].T
        mask = np.arange(seen) < visible[rows, None]
        lowest[head, rows] = scores.min(axis=1, where=mask, initial=np.inf)
        log_sums[:, head, rows] = _log_sums(np.where(mask, scores, -np.inf))
    return ScoreRows(queries=by_head, visible=visible.astype(np.float64), lowest=lowest, log_sums=log_sums)


def softmax_ranges(texts: Sequence[ScoreRows]) -> SoftmaxRanges:
    """Shifts for every head, and for all together the interval of scores and the fewest rounds that do.

    Each head's log-sum-exp is predicted by an affine function of the query and the logarithm of the number
    of keys, with the smallest largest error (`smallest_largest_error`); the shift then puts the head's
    largest log-sum-exp at zero.
    """
    queries = np.concatenate([t.queries for t in texts], axis=1)
    growth = np.log(np.concatenate([t.visible for t in texts]))
    lowest = np.concatenate([t.lowest for t in texts], axis=1)
    log_sums = np.concatenate([t.log_sums for t in texts], axis=2)
    fitted = [_predict(q, growth, ell) for q, ell in zip(queries, log_sums[0], strict=True)]
    predicted = np.stack([prediction for _, prediction in fitted])
    high = LOG_SUM_EXP_MARGIN
    rounds, denominators = _rounds(log_sums, predicted + high - EXCESS)
    return SoftmaxRanges(
        key_offset=tuple(tuple(s[:-2].tolist()) for s, _ in fitted),
        growth=tuple(float(s[-2]) for s, _ in fitted),
        shift=tuple(float(s[-1]) for s, _ in fitted),
        score=Interval(float((lowest - predicted).min()) - SCORE_MARGIN_BELOW, high),
        rounds=rounds,
        denominators=denominators,
        unit=high - EXCESS,
    )


def _predict(queries: Array, growth: Array, log_sum: Array) -> tuple[Array, Array]:
    """(offset, growth and shift, [head_dim + 2]; prediction [m] at or above the log-sum-exp) of one head."""
    design = np.concatenate([queries, growth[:, None], np.ones((len(queries), 1))], axis=1)
    solution, error = smallest_largest_error(design, log_sum)
    solution = solution.copy()
    solution[-1] += error
    return solution, design @ solution


def _rounds(log_sums: Array, shift: Array) -> tuple[int, tuple[Interval, ...]]:
    """The fewest rounds whose denominators stay wide enough, or those with the widest."""
    choices = [_denominators(log_sums, shift, rounds) for rounds in range(MOST_ROUNDS + 1)]
    shares = [min(interval.low / interval.high for interval in choice) for choice in choices]
    enough = (rounds for rounds, share in enumerate(shares) if share >= SMALLEST_DENOMINATOR_SHARE)
    rounds = next(enough, int(np.argmax(shares)))
    return rounds, choices[rounds]


def _denominators(log_sums: Array, shift: Array, rounds: int) -> tuple[Interval, ...]:
    """Intervals of every sum, margins included.

    The first is sum_j exp((s_j - shift) / 2^rounds); after a division by it and a square, the next is
    sum_j exp(s_j / 2^(rounds - 1)) / (sum_j exp(s_j / 2^rounds))^2, and so on.
    """
    first = log_sums[rounds] - shift / 2.0**rounds
    above = LOG_SUM_EXP_MARGIN / 2.0**rounds  # the smaller the scores, the smaller what they may add
    found = [Interval(_margin_below(first), float(np.exp(first.max() + above)))]
    for k in reversed(range(rounds)):
        # Shares add up to one, so their squares never exceed it.
        later = log_sums[k] - 2 * log_sums[k + 1]
        found.append(Interval(_margin_below(later), _SQUARES_OF_SHARES))
    return tuple(found)


def _margin_below(logarithm: Array) -> float:
    return float(np.exp(logarithm.min() - MARGIN_BELOW))


def _log_sums(scores: Array) -> Array:
    """log sum_j exp(s_j / 2^k) for k = 0..MOST_ROUNDS of rows [r, keys] -> [k, r]; one exp, then squares."""
    top = scores.max(axis=1)
    y = np.exp((scores - top[:, None]) / 2.0**MOST_ROUNDS)
    found = np.empty((MOST_ROUNDS + 1, len(scores)))
    for k in reversed(range(MOST_ROUNDS + 1)):
        found[k] = np.log(y.sum(axis=1)) + top / 2.0**k
        y *= y
    return found
