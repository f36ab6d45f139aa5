"""1 / x on an interval, by the polynomial with the smallest relative error and one Newton step."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.chebyshev import ChebyshevSeries, interpolate
from aegis_fhe.errors import RangeError

Array = NDArray[np.float64]


def fit_reciprocal(low: float, high: float, *, degree: int) -> ChebyshevSeries:
    """y(x) with 1 - x y(x) = T_{d+1}(u(x)) / T_{d+1}(u(0)), as close to 1 / x as its degree allows.

    max |1 - x y| on [low, high] is the smallest there is (Chebyshev): the error is 1 / T_{d+1}((R + 1) / (R -
    1)) with R = high / low, see `relative_error`; one Newton step y (2 - x y) squares it. Raises RangeError
    unless 0 < low < high.
    """
    if not 0 < low < high:
        raise RangeError(f"1 / x needs a positive interval, got [{low}, {high}]")
    n = degree + 1
    at_zero = (high + low) / (high - low)

    def reciprocal(x: Array) -> Array:
        u = np.clip((2 * x - low - high) / (high - low), -1.0, 1.0)
        # T_n(u(0)) with u(0) = -at_zero has the sign (-1)^n.
        ratio = np.cos(n * np.arccos(u)) / ((-1) ** n * math.cosh(n * math.acosh(at_zero)))
        return np.asarray((1.0 - ratio) / x, dtype=np.float64)

    return interpolate(reciprocal, low, high, degree)


def relative_error(low: float, high: float, *, degree: int) -> float:
    """max |1 - x y(x)| of `fit_reciprocal` on [low, high]."""
    return 1.0 / math.cosh((degree + 1) * math.acosh((high + low) / (high - low)))


def lowest(error: float, *, degree: int) -> float:
    """The low at which `relative_error` on [low, 1] is `error`: what the degree can reach down to."""
    at_zero = math.cosh(math.acosh(1.0 / error) / (degree + 1))
    return (at_zero - 1.0) / (at_zero + 1.0)
