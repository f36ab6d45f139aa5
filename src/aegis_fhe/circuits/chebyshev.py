"""Chebyshev series on an interval: fitted, divided and evaluated in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ChebyshevSeries:
    """p(x) = sum_k coefficients[k] T_k(u), u = (2x - low - high) / (high - low), for x in [low, high].

    Outside the interval the value grows like |2u|^degree: calibrate the interval with a margin.
    """

    low: float
    high: float
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise RangeError(f"a series needs an interval with low < high, got [{self.low}, {self.high}]")
        if not self.coefficients or not np.isfinite(self.coefficients).all():
            raise RangeError("a series needs finite coefficients")

    @property
    def degree(self) -> int:
        """Highest k."""
        return len(self.coefficients) - 1

    @property
    def slope(self) -> float:
        """du/dx: fold it into whatever produces x, then u costs no level."""
        return 2.0 / (self.high - self.low)

    @property
    def offset(self) -> float:
        """u at x = 0."""
        return -(self.low + self.high) / (self.high - self.low)

    def __call__(self, x: Array) -> Array:
        """p(x) in float64."""
        values: Array = chebyshev.chebval(
            self.slope * np.asarray(x) + self.offset, np.array(self.coefficients)
        )
        return values

    def scaled(self, factor: float) -> ChebyshevSeries:
        """factor * p."""
        return ChebyshevSeries(self.low, self.high, tuple(factor * c for c in self.coefficients))


def interpolate(function: Callable[[Array], Array], low: float, high: float, degree: int) -> ChebyshevSeries:
    """Interpolation at the Chebyshev points of the first kind.

    Within a factor O(log degree) of the best fit.
    """
    middle, half = (low + high) / 2, (high - low) / 2

    def normalised(u: Array) -> Any:  # numpy's annotation asks for a scalar here, its code for an array
        return function(middle + half * u)

    series = chebyshev.chebinterpolate(normalised, degree)
    return ChebyshevSeries(low, high, tuple(float(c) for c in series))


def divide(coefficients: Array, k: int) -> tuple[Array, Array]:
    """Quotient q and remainder r with p = q * T_k + r, deg r < k.

    All in the Chebyshev basis (deg p < 2k + 1). From T_{k+i} = 2 T_i T_k - T_{|k-i|}.
    """
    degree = len(coefficients) - 1
    if not k <= degree <= 2 * k:
        raise RangeError(f"Chebyshev division by T_{k} needs a degree in [{k}, {2 * k}], got {degree}")
    quotient = 2.0 * coefficients[k:]
    quotient[0] /= 2.0
    remainder = coefficients[:k].copy()
    for i in range(1, degree - k + 1):
        remainder[k - i] -= coefficients[k + i]
    return quotient, remainder
