"""Attention as its encrypted program computes it: shifted scores, a polynomial exp, division at the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.chebyshev import ChebyshevSeries
from aegis_fhe.circuits.reciprocal import relative_error
from aegis_fhe.program.encoder.fits import DIVISION_ERROR, exponential_series, reciprocal_series
from aegis_fhe.program.network import Attention
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.simulate.noise import Noise
from aegis_fhe.program.simulate.outside import Outside
from aegis_fhe.program.simulate.ranges import SoftmaxRanges

Array = NDArray[np.float64]

_ROWS = 32  # of scores at a time: what fits a processor's cache
_NEWTON_STEPS, _MORE_NEWTON_STEPS = 2, 3
_HIDDEN_SLACK = 1 / 8  # of the range of scores: there the series still follows exp


def visible_keys(operator: Attention, queries: int, keys: int) -> NDArray[np.int64]:
    """How many keys each of the last `queries` tokens sees."""
    if not operator.causal:
        return np.full(queries, keys)
    return np.arange(keys - queries, keys) + 1


@dataclass(frozen=True, kw_only=True)
class SimulatedAttention:
    """One attention with its fits; bound: on the size of its result, value_bound: on that of V."""

    operator: Attention
    ranges: SoftmaxRanges
    exp: ChebyshevSeries
    squarings: int
    reciprocals: tuple[ChebyshevSeries, ...]
    bound: float
    value_bound: float
    newton_steps: int = _NEWTON_STEPS

    @classmethod
    def of(
        cls, operator: Attention, ranges: SoftmaxRanges, *, bound: float, value_bound: float
    ) -> SimulatedAttention:
        """Fits for the calibrated ranges."""
        power, score = 2.0**ranges.rounds, ranges.score
        exp, squarings = exponential_series(Interval(score.low / power, score.high / power))
        exp = exp.scaled(float(np.exp(ranges.excess / power / 2.0**squarings)))
        reciprocals = tuple(reciprocal_series(interval) for interval in ranges.denominators)
        errors = [
            relative_error(interval.low, interval.high, degree=series.degree)
            for interval, series in zip(ranges.denominators, reciprocals, strict=True)
        ]
        enough = max(errors) ** (2**_NEWTON_STEPS) < DIVISION_ERROR
        return cls(
            operator=operator,
            ranges=ranges,
            exp=exp,
            squarings=squarings,
            reciprocals=reciprocals,
            bound=bound,
            value_bound=value_bound,
            newton_steps=_NEWTON_STEPS if enough else _MORE_NEWTON_STEPS,
        )

    def __call__(self, q: Array, k: Array, v: Array, noise: Noise, outside: Outside) -> Array:
        """Q [m, heads * head_dim] of the last m of n tokens, K and V [n, kv * head_dim] -> as Q."""
        result = np.empty_like(q)
        for head in range(self.operator.heads):
            own, theirs = self.operator.query_features(head), self.operator.key_features(head)
            result[:, own] = self._head(head, q[:, own], k[:, theirs], v[:, theirs], noise, outside)
        return result

    def _head(self, head: int, q: Array, k: Array, v: Array, noise: Noise, outside: Outside) -> Array:
        visible = visible_keys(self.operator, len(q), len(k))
        keys = (k - np.array(self.ranges.key_offset[head])).T * self.operator.scale
        shift = self.ranges.shift[head] + self.ranges.growth[head] * np.log(visible)
        result = np.empty((len(q), v.shape[1]))
        for start in range(0, len(q), _ROWS):
            rows = slice(start, start + _ROWS)
            seen = int(visible[rows].max())
            mask = np.arange(seen) < visible[rows, None]
            scores = q[rows] @ keys[:, :seen] - shift[rows, None]
            result[rows] = self.rows(scores, mask, v[:seen], noise, outside)
        return result

    def rows(
        self,
        scores: Array,
        mask: NDArray[np.bool_],
        v: Array,
        noise: Noise,
        outside: Outside,
        *,
        padding: int = 0,
    ) -> Array:
        """Some rows of one head: shifted scores [r, keys], mask of the keys that each sees, V of the keys.

        padding: so many keys more have the lowest score, zeros for values, and no mask; without rounds alone.
        """
        low, high = self.ranges.score.low, self.ranges.score.high
        scores = noise.on(scores, max(-low, high))
        outside.check("scores", scores[mask], self.ranges.score)
        # Hidden keys pass through exp as well and vanish behind it: a little outside does no harm.
        slack = _HIDDEN_SLACK * (high - low)
        outside.check("hidden scores", scores[~mask], Interval(low - slack, high + slack))
        y = noise.on(self.exp(scores / 2.0**self.ranges.rounds), 1.0)
        for _ in range(self.squarings):
            y = noise.on(y * y, 1.0)
        y = np.where(mask, y, 0.0)
        added = padding * float(self.exp(np.array(low))) ** (2**self.squarings)
        for step in range(self.ranges.rounds):
            share = noise.on(y * self._reciprocal(step, y.sum(axis=1), noise, outside), 1.0)
            y = noise.on(share * share, 1.0) * mask
        last = self.ranges.rounds
        sums = noise.on(y @ v, self.value_bound * self.ranges.denominators[last].high)
        return noise.on(sums * self._reciprocal(last, y.sum(axis=1) + added, noise, outside), self.bound)

    def _reciprocal(self, step: int, d: Array, noise: Noise, outside: Outside) -> Array:
        """1 / d of the denominators [r] of all rows -> [r, 1], by a series and Newton's steps."""
        interval = self.ranges.denominators[step]
        d = noise.on(d[:, None], interval.high)
        outside.check("denominators", d, interval)
        inverse = self.reciprocals[step](d)
        for _ in range(self.newton_steps):
            inverse = noise.on(inverse * (2.0 - d * inverse), 1.0 / interval.low)
        return inverse
