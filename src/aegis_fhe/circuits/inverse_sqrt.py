"""1 / sqrt(x) on an interval."""

from __future__ import annotations

import numpy as np

from aegis_fhe.circuits.chebyshev import ChebyshevSeries, interpolate
from aegis_fhe.errors import RangeError


def fit_inverse_sqrt(low: float, high: float, *, degree: int) -> ChebyshevSeries:
    """p(x) ~ 1 / sqrt(x) on [low, high], 0 < low.

    The error falls like ((sqrt R - 1) / (sqrt R + 1))^degree with R = high / low.
    """
    if low <= 0:
        raise RangeError(f"1 / sqrt(x) needs a positive interval, got [{low}, {high}]")
    return interpolate(lambda x: 1.0 / np.sqrt(x), low, high, degree)
