"""Taking a number modulo 1 near the integers: a cosine, its angle doubled, and an arcsine.

For t = i + e with an integer |i| < K and a small e: cos(2 pi (t - 1/4) / 2^r), fitted where such t lie and
nowhere else (Han and Ki, ePrint 2019/688); even, so a Chebyshev series in y = T_2 of the shifted t. Then
c -> 2 c^2 - 1, r times, gives s = sin(2 pi e), and e = arcsin(s) / (2 pi) by another series (Lee, Lee, Lee,
Kim, No: ePrint 2020/552).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.chebyshev import ChebyshevSeries, interpolate
from aegis_fhe.circuits.polynomial import evaluate_polynomial, polynomial_depth
from aegis_fhe.circuits.products import twice_square_minus_one
from aegis_fhe.errors import RangeError

V = TypeVar("V")

POINTS = 24  # of each interval around an integer


@dataclass(frozen=True, kw_only=True)
class SineModulus:
    """x - round(x) for x = `bound` * u, |u| < 1, at distance `width` or less from an integer.

    degree, doublings: of the cosine, in t (even). arcsine_degree: odd; 1 takes the sine for the distance.
    Errors over the width, w = 2 pi width: w^2 / 6 for arcsine_degree 1, about (w / 2)^(d + 1) / 10 above.
    """

    bound: int = 16
    width: float = 2.0**-8
    degree: int = 30
    doublings: int = 3
    arcsine_degree: int = 3

    def __post_init__(self) -> None:
        fits = self.bound >= 2 and 0 < self.width < 0.25 and self.doublings >= 0 and self.degree >= 2
        if not fits or self.degree % 2 or self.arcsine_degree < 1 or self.arcsine_degree % 2 == 0:
            raise RangeError(
                f"a sine of degree {self.degree}, {self.doublings} doublings and an arcsine of degree "
                f"{self.arcsine_degree}, on {self.bound} integers with width {self.width:.3g} cannot be "
                "fitted: an even cosine, an odd arcsine, two integers, a width below 1/4 are expected"
            )

    @property
    def depth(self) -> int:
        """Levels: cosine, doublings, arcsine (of degree 1: none)."""
        arcsine = polynomial_depth(self.arcsine_degree) if self.arcsine_degree > 1 else 0
        return self._cosine_depth + self.doublings + arcsine

    @property
    def _cosine_depth(self) -> int:
        """One level for y, the others for the series in it."""
        return 1 + polynomial_depth(self.degree // 2)

    @property
    def _reach(self) -> float:
        """Where y = 2 ((t - 1/4) / reach)^2 - 1 ends: beyond every t."""
        return self.bound - 0.5

    def cosine(self) -> ChebyshevSeries:
        """cos(2 pi (t - 1/4) / 2^doublings) in y, by least squares on the points that occur."""
        return self._cosine

    @cached_property
    def _cosine(self) -> ChebyshevSeries:
        nodes = np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS)
        integers = np.arange(1 - self.bound, self.bound)
        t = (integers[:, None] + self.width * nodes).reshape(-1) - 0.25
        values, y = np.cos(2 * np.pi * t / 2**self.doublings), 2 * (t / self._reach) ** 2 - 1
        found, *_ = np.linalg.lstsq(chebyshev.chebvander(y, self.degree // 2), values, rcond=None)
        return ChebyshevSeries(-1.0, 1.0, tuple(float(c) for c in found))

    def arcsine(self, factor: float) -> ChebyshevSeries:
        """factor * arcsin(s) / (2 pi), |s| <= sin(2 pi width); odd, so every other coefficient is zero."""
        largest = math.sin(2 * math.pi * self.width)

        def distance(s: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.arcsin(s) * (factor / (2 * np.pi))

        series = interpolate(distance, -largest, largest, self.arcsine_degree)
        odd = (c if k % 2 else 0.0 for k, c in enumerate(series.coefficients))
        return ChebyshevSeries(series.low, series.high, tuple(odd))

    def error(self) -> float:
        """The largest error in double precision over the width, on 64 points around each integer."""
        distance = self.width * np.linspace(-1, 1, 64)
        t = (np.arange(1 - self.bound, self.bound)[:, None] + distance - 0.25).reshape(-1)
        s = self.cosine()(2 * (t / self._reach) ** 2 - 1)
        for _ in range(self.doublings):
            s = 2 * s * s - 1
        corrected = self.arcsine(1.0)(s) if self.arcsine_degree > 1 else s / (2 * np.pi)
        return float(np.abs(corrected.reshape(-1, 64) - distance).max() / self.width)

    def evaluate(self, backend: Backend[V], u: V, *, factor: float, target_scale: float) -> V:
        """factor * (x - round(x)). Level l -> l - depth; scale -> target_scale exactly."""
        corrected, level = self.arcsine_degree > 1, backend.level(u) - self._cosine_depth
        moduli = [backend.moduli[level - i] for i in range(self.doublings)]
        # The sine's scale: the prime's that divides it next, or what makes it the result as it is.
        scale = float(backend.moduli[level - self.doublings]) if corrected else target_scale * factor
        scale = scale if corrected else scale / (2 * math.pi)
        for modulus in reversed(moduli):
            scale = math.sqrt(scale * modulus)
        shifted = backend.with_scale(u, backend.scale(u) * self._reach / self.bound)
        y = twice_square_minus_one(backend, backend.add_scalar(shifted, -0.25 / self._reach))
        s = evaluate_polynomial(backend, y, self.cosine(), target_scale=scale)
        for _ in range(self.doublings):
            s = twice_square_minus_one(backend, s)
        if not corrected:
            return backend.with_scale(s, target_scale)
        arcsine = self.arcsine(factor)
        normalised = backend.with_scale(s, backend.scale(s) / arcsine.slope)
        return evaluate_polynomial(backend, normalised, arcsine, target_scale=target_scale)
