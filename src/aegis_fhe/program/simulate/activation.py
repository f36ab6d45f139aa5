"""GELU, SiLU and tanh as polynomials on a calibrated interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.chebyshev import ChebyshevSeries, interpolate
from aegis_fhe.program.network import Gelu, Silu, Tanh

Array = NDArray[np.float64]

ACTIVATION_ERROR = 1e-4
ACTIVATION_DEGREES = (15, 31, 63, 127, 255)
_GRID = np.linspace(-1.0, 1.0, 8001)


def fit_activation(
    operator: Gelu | Silu | Tanh, bound: float, *, error: float = ACTIVATION_ERROR
) -> ChebyshevSeries:
    """f on [-bound, bound] by the smallest degree within `error` (absolute), or the largest degree.

    GELU and SiLU are x / 2 and an even function, tanh is odd: every other coefficient is zero, and half of
    the products vanish.
    """
    for degree in ACTIVATION_DEGREES:
        series = _series(operator, bound, degree)
        exact = operator.evaluate([bound * _GRID], {})
        if float(np.abs(series(bound * _GRID) - exact).max()) <= error:
            break
    return series


def _series(operator: Gelu | Silu | Tanh, bound: float, degree: int) -> ChebyshevSeries:
    """The interpolation, with the coefficients that symmetry makes zero exactly so."""
    odd = isinstance(operator, Tanh)

    def symmetric(x: Array) -> Array:
        y: Array = operator.evaluate([x], {})
        return y if odd else y - x / 2

    coefficients = np.array(interpolate(symmetric, -bound, bound, degree - (not odd)).coefficients)
    coefficients[0 if odd else 1 :: 2] = 0.0
    if not odd:
        coefficients[1] = bound / 2
    return ChebyshevSeries(-bound, bound, tuple(coefficients.tolist()))
