"""Degrees from ranges: enough for every approximation, and the one before would not be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aegis_fhe.circuits.chebyshev import ChebyshevSeries
from aegis_fhe.circuits.reciprocal import relative_error
from aegis_fhe.errors import RangeError
from aegis_fhe.program.long.degrees import DEGREES, ERROR, ROUND_ERROR, choose_degrees
from aegis_fhe.program.long.fits import LayerFits
from aegis_fhe.program.long.shape import LayerRanges, LayerShape
from aegis_fhe.program.ranges import Interval

SHAPE = LayerShape.decoder(features=32, heads=4, key_value_heads=2, head_dim=8, hidden=48)
RANGES = LayerRanges(
    score=Interval(-40.0, 1.5),
    denominator=Interval(4e-3, 1.0),
    first_norm=Interval(10.0, 150.0),
    second_norm=Interval(10.0, 60.0),
    activation=9.0,
)
TOKENS = 128


def grid(interval: Interval) -> np.ndarray:
    return np.linspace(interval.low, interval.high, 30011)


def root_error(series: ChebyshevSeries, interval: Interval) -> float:
    """Relative, of a series for 1/sqrt that is scaled by some constant."""
    v = grid(interval)
    product = series(v) * np.sqrt(v)
    return float(np.abs(product / np.median(product) - 1).max())


def test_every_approximation_is_within_the_bound():
    degrees = choose_degrees(SHAPE, RANGES, tokens=TOKENS)
    fits = LayerFits.of(SHAPE, RANGES, degrees)
    s = grid(RANGES.score)
    exp = fits.exponential(s) ** (2**fits.squarings) - np.exp(s - RANGES.score.high)
    assert np.abs(exp).max() * TOKENS < 1.01 * ERROR * RANGES.denominator.low
    assert root_error(fits.first_norm, RANGES.first_norm) < 3 * ERROR
    assert root_error(fits.second_norm, RANGES.second_norm) < 3 * ERROR
    x = grid(Interval(-RANGES.activation, RANGES.activation))
    assert np.abs(fits.activation(x) - x / (1 + np.exp(-x)) / RANGES.activation).max() < 1.01 * ERROR


def test_the_degree_before_is_not_enough():
    degrees = choose_degrees(SHAPE, RANGES, tokens=TOKENS)
    assert degrees.inverse_sqrt > DEGREES[0]
    fewer = dataclasses.replace(degrees, inverse_sqrt=DEGREES[DEGREES.index(degrees.inverse_sqrt) - 1])
    fits = LayerFits.of(SHAPE, RANGES, fewer)
    assert root_error(fits.first_norm, RANGES.first_norm) > ERROR


def test_wider_ranges_take_more():
    wider = dataclasses.replace(RANGES, score=Interval(-150.0, 1.5), denominator=Interval(1e-4, 1.0))
    before, after = (choose_degrees(SHAPE, r, tokens=TOKENS) for r in (RANGES, wider))
    depth = [np.log2(d.exponential + 1) + d.squarings for d in (before, after)]
    assert depth[1] > depth[0]
    depth = [np.log2(d.reciprocal + 1) + 2 * d.newton_steps for d in (before, after)]
    assert depth[1] > depth[0]


@pytest.mark.parametrize("rounds", [1, 2])
def test_rounds_leave_the_softmax_within_the_bound(rounds: int, rng: np.random.Generator):
    """On rows that reach the ends of every range; one degree less of exp, or of 1/D, would be too few."""
    scores = np.concatenate([rng.uniform(-40.0, top, (200, TOKENS)) for top in (-12.0, -6.0, 0.0, 1.5)])
    unit, exact = -1.0, np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    y, intervals = np.exp((scores - unit) / 2.0**rounds), []
    for _ in range(rounds + 1):
        sums = y.sum(axis=1, keepdims=True)
        intervals.append(Interval(0.95 * float(sums.min()), 1.05 * float(sums.max())))
        y = (y / sums) ** 2
    ranges = dataclasses.replace(RANGES, unit=unit, denominator=intervals[-1], rounds=tuple(intervals[:-1]))
    degrees = choose_degrees(SHAPE, ranges, tokens=TOKENS)
    fits = LayerFits.of(SHAPE, ranges, degrees)

    def error(fits: LayerFits) -> float:
        y = fits.exponential(scores) ** (2**fits.squarings)
        for fit in fits.rounds:
            inverse, sums = fit.reciprocal(y.sum(axis=1, keepdims=True)), y.sum(axis=1, keepdims=True)
            for _ in range(fit.newton_steps):
                inverse = inverse * (2 - sums * inverse)
            y = (y * inverse) ** 2
        return float(np.abs(y / y.sum(axis=1, keepdims=True) - exact).sum(axis=1).max())

    assert error(fits) < ERROR
    for (degree, steps), interval in zip(degrees.rounds, ranges.rounds, strict=True):
        reached = relative_error(interval.low, interval.high, degree=degree) ** (2**steps)
        assert reached <= ROUND_ERROR
    half = dataclasses.replace(degrees, exponential=degrees.exponential // 2)
    assert error(LayerFits.of(SHAPE, ranges, half)) > ERROR


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": Interval(-1e5, 1.5)}, "too wide for exp"),
        ({"denominator": Interval(1e-12, 1.0)}, "exp|1/D"),
        ({"first_norm": Interval(1.0, 1e6)}, "1/sqrt"),
        ({"activation": 3000.0}, "the activation"),
    ],
)
def test_what_no_degree_follows_is_refused(change, message):
    with pytest.raises(RangeError, match=message):
        choose_degrees(SHAPE, dataclasses.replace(RANGES, **change), tokens=TOKENS)
