"""exp on an interval, by a polynomial and squarings."""

from __future__ import annotations

import numpy as np

from aegis_fhe.circuits.chebyshev import ChebyshevSeries, interpolate


def fit_exponential(low: float, high: float, *, degree: int, squarings: int) -> ChebyshevSeries:
    """p with p(x)^(2^squarings) ~ exp(x - high) on [low, high]; values in (0, 1].

    The division by exp(high) keeps every intermediate at most one. Depth: ceil(log2(degree + 1)) + squarings.
    Outside the interval it explodes: calibrate [low, high] on the whole range of x, not on its largest
    values.
    """
    power = 2.0**squarings
    return interpolate(lambda x: np.exp((x - high) / power), low, high, degree)
