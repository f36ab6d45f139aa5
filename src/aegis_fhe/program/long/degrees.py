"""Degrees that a layer's ranges ask for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from aegis_fhe.circuits.exponential import fit_exponential
from aegis_fhe.circuits.inverse_sqrt import fit_inverse_sqrt
from aegis_fhe.circuits.reciprocal import relative_error
from aegis_fhe.errors import RangeError
from aegis_fhe.program.long.fits import activation_series
from aegis_fhe.program.long.shape import Degrees, LayerRanges, LayerShape
from aegis_fhe.program.network import Gelu, Silu
from aegis_fhe.program.ranges import Interval

# One below a power of two: the levels that they take are used in full.
DEGREES = (15, 31, 63, 127)
MOST_SQUARINGS, MOST_NEWTON_STEPS = 4, 3
# Relative, of norms and divisions; of the activation over its bound. Bootstraps leave about as much.
ERROR = 1e-4
# Relative, of 1/D in a round: the division that follows takes it out again, so it need only leave the next
# denominator in its range, whose upper end has a margin of 1.05.
ROUND_ERROR = 1e-2
_GRID = np.linspace(-1.0, 1.0, 8001)


def choose_degrees(shape: LayerShape, ranges: LayerRanges, *, tokens: int) -> Degrees:
    """The shallowest that keep every approximation within ERROR on texts of up to `tokens` tokens.

    exp: `exponential_error`. 1/D: e^(2^steps) for a series within e, those of rounds within ROUND_ERROR.
    Raises RangeError when no degree does.
    """
    rounds = len(ranges.rounds)
    exponential, squarings = _exponential(ranges.score, exponential_error(ranges, tokens=tokens), rounds)
    reciprocal, newton_steps = _reciprocal(ranges.denominator, ERROR)
    function = shape.activation
    return Degrees(
        exponential=exponential,
        squarings=squarings,
        reciprocal=reciprocal,
        newton_steps=newton_steps,
        inverse_sqrt=max(_inverse_sqrt(ranges.first_norm), _inverse_sqrt(ranges.second_norm)),
        activation=_first("the activation", lambda d: _activation_error(function, ranges.activation, d)),
        rounds=tuple(_reciprocal(interval, ROUND_ERROR) for interval in ranges.rounds),
    )


def exponential_error(ranges: LayerRanges, *, tokens: int) -> float:
    """How far exp((s - score.high) / 2^r) may be off where the last denominator is to be within ERROR.

    Without rounds the sum of all keys' errors must stay below ERROR times the smallest denominator. With
    rounds, e in y becomes 2 (y / D) e / D in its square, and shares y / D add up to one: relative to its sum
    the error grows to 2^r e / (D_0 ... D_r) at most, whatever the number of keys.
    """
    if not ranges.rounds:
        return ERROR * ranges.denominator.low / tokens / math.exp(ranges.excess)
    power = 2.0 ** len(ranges.rounds)
    smallest = math.prod(interval.low for interval in (*ranges.rounds, ranges.denominator))
    return ERROR * smallest / power / math.exp(ranges.excess / power)


def _first(what: str, error: Callable[[int], float]) -> int:
    """The smallest degree within ERROR."""
    for degree in DEGREES:
        if error(degree) <= ERROR:
            return degree
    raise RangeError(
        f"no polynomial up to degree {DEGREES[-1]} follows {what} over its calibrated range within "
        f"{ERROR:g}: calibrate on text like yours, without what makes single values stand out"
    )


def _exponential(score: Interval, error: float, rounds: int) -> tuple[int, int]:
    """(degree, squarings) of the fewest levels; of equals the fewest squarings, which add noise."""
    x = (score.low + score.high) / 2 + (score.high - score.low) / 2 * _GRID
    exact = np.exp((x - score.high) / 2.0**rounds)
    choices = [(d, s) for d in DEGREES for s in range(MOST_SQUARINGS + 1)]
    for degree, squarings in sorted(choices, key=lambda c: (np.log2(c[0] + 1) + c[1], c[1])):
        series = fit_exponential(score.low, score.high, degree=degree, squarings=squarings + rounds)
        if float(np.abs(series(x) ** (2**squarings) - exact).max()) <= error:
            return degree, squarings
    raise RangeError(
        f"scores in [{score.low:.4g}, {score.high:.4g}] are too wide for exp within {error:.2g}: "
        "calibrate on text like yours"
    )


def _reciprocal(denominator: Interval, error: float) -> tuple[int, int]:
    """(degree, Newton steps) of the fewest levels; of equals the fewest products, those of the steps."""
    low, high = denominator.low, denominator.high
    choices = [(d, s) for d in DEGREES for s in range(MOST_NEWTON_STEPS + 1)]
    for degree, steps in sorted(choices, key=lambda c: (np.log2(c[0] + 1) + 2 * c[1], -c[1])):
        if relative_error(low, high, degree=degree) ** (2**steps) <= error:
            return degree, steps
    raise RangeError(
        f"denominators in [{low:.4g}, {high:.4g}] are too wide for 1/D: calibrate on text like yours"
    )


def _inverse_sqrt(variance: Interval) -> int:
    v = np.geomspace(variance.low, variance.high, 4001)

    def error(degree: int) -> float:
        series = fit_inverse_sqrt(variance.low, variance.high, degree=degree)
        return float(np.abs(series(v) * np.sqrt(v) - 1).max())

    return _first("1/sqrt", error)


def _activation_error(function: Gelu | Silu, bound: float, degree: int) -> float:
    exact = function.evaluate([bound * _GRID], {}) / bound
    return float(np.abs(activation_series(function, bound, degree)(bound * _GRID) - exact).max())
