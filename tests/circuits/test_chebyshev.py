"""Chebyshev series: exact division, and fits as accurate as the published tables say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial import chebyshev

from aegis_fhe.circuits.chebyshev import ChebyshevSeries, divide, interpolate
from aegis_fhe.circuits.exponential import fit_exponential
from aegis_fhe.errors import RangeError

erf = np.vectorize(math.erf)


def gelu(x: np.ndarray) -> np.ndarray:
    return x / 2 * (1 + erf(x / math.sqrt(2)))


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


@st.composite
def divisions(draw: st.DrawFn) -> tuple[list[float], int]:
    k = draw(st.integers(1, 40))
    degree = draw(st.integers(k, 2 * k))
    entry = st.floats(-1, 1, allow_subnormal=False)
    return draw(st.lists(entry, min_size=degree + 1, max_size=degree + 1)), k


@given(divisions())
def test_division_identity(case):
    """p = q T_k + r with deg r < k, coefficient by coefficient."""
    p, k = np.array(case[0]), case[1]
    quotient, remainder = divide(p, k)
    assert len(remainder) == k
    assert len(quotient) == len(p) - k
    power = np.eye(k + 1)[k]
    again = chebyshev.chebadd(chebyshev.chebmul(quotient, power), remainder)
    padded = np.zeros(len(p))
    padded[: len(again)] = again
    np.testing.assert_allclose(padded, p, rtol=0, atol=1e-12)


def test_division_leaves_its_argument_alone():
    p = np.arange(1.0, 10.0)
    divide(p, 5)
    np.testing.assert_array_equal(p, np.arange(1.0, 10.0))


@pytest.mark.parametrize(("degree", "k"), [(3, 4), (9, 4)])
def test_division_refuses_degrees_outside_k_to_2k(degree, k):
    with pytest.raises(RangeError, match="needs a degree in"):
        divide(np.ones(degree + 1), k)


@pytest.mark.parametrize(
    ("function", "low", "high", "degree", "published"),
    [
        (gelu, -8, 8, 31, 9.2e-5),
        (gelu, -8, 8, 47, 1.5e-8),
        (gelu, -11, 14, 59, 1.8e-6),
        (gelu, -17.5, 25, 63, 1.3e-3),
        (silu, -6, 6, 31, 4.2e-7),
        (silu, -12, 12, 63, 2.5e-7),
    ],
)
def test_interpolation_error_is_the_published_one(function, low, high, degree, published):
    x = np.linspace(low, high, 20001)
    error = np.abs(interpolate(function, low, high, degree)(x) - function(x)).max()
    assert published / 2 < error < 2 * published


@pytest.mark.parametrize(
    ("width", "degree", "squarings", "published"),
    [
        (20, 15, 1, 5.8e-9),
        (20, 15, 2, 1.5e-12),
        (20, 7, 4, 4.2e-8),
        (32, 15, 1, 1.1e-6),
        (32, 15, 2, 7.3e-10),
        (48, 15, 2, 9.7e-8),
        (48, 7, 5, 3.2e-7),
        (80, 15, 3, 2.3e-8),
        (80, 31, 1, 1e-10),
        (160, 31, 2, 2.0e-10),
    ],
)
def test_exponential_error_is_the_published_one(width, degree, squarings, published):
    """Also far from zero: only the width of the interval counts, and values stay at most one."""
    low, high = 3.0 - width, 3.0
    x = np.linspace(low, high, 20001)
    root = fit_exponential(low, high, degree=degree, squarings=squarings)(x)
    error = np.abs(root ** (2**squarings) - np.exp(x - high)).max()
    assert published / 2 < error < 2 * published
    assert np.abs(root).max() < 1 + 1e-6


def test_series_is_evaluated_on_its_interval():
    """T_2 on [1, 5]: 2 u^2 - 1 with u = (x - 3) / 2."""
    series = ChebyshevSeries(1.0, 5.0, (0.0, 0.0, 1.0))
    x = np.array([1.0, 3.0, 4.0, 5.0])
    np.testing.assert_allclose(series(x), 2 * ((x - 3) / 2) ** 2 - 1, atol=1e-15)
    assert (series.slope, series.offset, series.degree) == (0.5, -1.5, 2)
    np.testing.assert_allclose(series.scaled(-3.0)(x), -3 * series(x), atol=1e-15)


@pytest.mark.parametrize(
    ("low", "high", "coefficients"),
    [(1.0, 1.0, (1.0,)), (2.0, 1.0, (1.0,)), (0.0, 1.0, ()), (0.0, 1.0, (1.0, math.nan))],
)
def test_impossible_series_are_refused(low, high, coefficients):
    with pytest.raises(RangeError):
        ChebyshevSeries(low, high, coefficients)
