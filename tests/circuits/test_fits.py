"""1 / x and 1 / sqrt(x): the errors that theory promises, no more and no less."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aegis_fhe.circuits.inverse_sqrt import fit_inverse_sqrt
from aegis_fhe.circuits.reciprocal import fit_reciprocal, relative_error
from aegis_fhe.errors import RangeError

INTERVALS = [(0.1, 1.0), (0.02, 1.3), (3.0, 40.0)]


def dense(low: float, high: float) -> np.ndarray:
    """Chebyshev-spaced points: extrema near the ends are as well resolved as the others."""
    return (low + high) / 2 - (high - low) / 2 * np.cos(np.linspace(0, np.pi, 40001))


@pytest.mark.parametrize("degree", [7, 15, 62, 63])
@pytest.mark.parametrize(("low", "high"), INTERVALS)
def test_reciprocal_error_is_the_smallest_possible(low, high, degree):
    """|1 - x y| reaches one height degree + 2 times, signs alternating: no such series is better."""
    x = dense(low, high)
    residual = 1 - x * fit_reciprocal(low, high, degree=degree)(x)
    height = relative_error(low, high, degree=degree)
    # Coefficients of size 1 / low are rounded to 53 bits.
    rounding = 1e-13 * high / low
    assert abs(np.abs(residual).max() - height) < 1e-6 * height + rounding
    if height < 100 * rounding:
        return
    extreme = np.sign(residual[np.abs(residual) > 0.999 * height])
    assert 1 + np.count_nonzero(np.diff(extreme)) == degree + 2


@pytest.mark.parametrize(("low", "high"), INTERVALS)
def test_two_newton_steps_take_the_fourth_power(low, high):
    x = dense(low, high)
    y = fit_reciprocal(low, high, degree=15)(x)
    e = 1 - x * y
    np.testing.assert_allclose(y * (1 + e) * (1 + e * e), (1 - e**4) / x, rtol=1e-12)


@pytest.mark.parametrize("degree", [15, 31])
@pytest.mark.parametrize(("low", "high"), [(0.1, 1.0), (0.02, 1.0), (3.0, 40.0)])
def test_inverse_sqrt_error_follows_its_rate(low, high, degree):
    """The branch point at 0 sets the rate: rho = (sqrt R + 1) / (sqrt R - 1), error ~ rho^-degree."""
    x = dense(low, high)
    error = np.abs(fit_inverse_sqrt(low, high, degree=degree)(x) * np.sqrt(x) - 1).max()
    root = math.sqrt(high / low)
    bound = ((root - 1) / (root + 1)) ** degree
    assert bound / 30 < error < 3 * bound


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("fit", [fit_inverse_sqrt, fit_reciprocal])
def test_intervals_that_touch_zero_are_refused(fit, low):
    with pytest.raises(RangeError, match="positive interval"):
        fit(low, 2.0, degree=7)
