"""Taking a number modulo 1 near the integers: a cosine, its angle doubled, and the arcsine's first terms.

For t = i + e with an integer |i| < K and a small e: cos(2 pi (t - 1/4) / 2^r) as a Chebyshev series in t / K,
fitted where such t lie and nowhere else (Han and Ki, ePrint 2019/688); c -> 2 c^2 - 1, r times, gives
s = sin(2 pi e); then e = v + (2 pi^2 / 3) v^3 + O(e^5), v = s / (2 pi) (Lee, Lee, Lee, Kim, No: ePrint
2020/552).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.polynomial import chebyshev

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.chebyshev import ChebyshevSeries
from aegis_fhe.circuits.polynomial import evaluate_polynomial, polynomial_depth
from aegis_fhe.errors import RangeError

V = TypeVar("V")

POINTS = 24  # of each interval around an integer
CUBIC = 2 * math.pi**2 / 3


@dataclass(frozen=True, kw_only=True)
class SineModulus:
    """x - round(x) for x = `bound` * u, |u| < 1, at distance `width` or less from an integer.

    Error: about (2 pi width)^4 * 3/40 of width with the arcsine's cubic term, (2 pi width)^2 / 6 without.
    """

    bound: int = 16
    width: float = 2.0**-8
    degree: int = 31
    doublings: int = 3
    cubic: bool = True

    def __post_init__(self) -> None:
        if self.bound < 2 or not 0 < self.width < 0.25 or self.doublings < 0 or self.degree < 1:
            raise RangeError(
                f"a sine of degree {self.degree}, {self.doublings} doublings, on {self.bound} integers with "
                f"width {self.width:.3g} cannot be fitted: two integers, a width below 1/4 are the least"
            )

    @property
    def depth(self) -> int:
        """Levels: series, doublings, and two for the cubic term."""
        return polynomial_depth(self.degree) + self.doublings + (2 if self.cubic else 0)

    def series(self) -> ChebyshevSeries:
        """cos(2 pi (bound u - 1/4) / 2^doublings), by least squares on the points that occur."""
        nodes = np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS)
        integers = np.arange(1 - self.bound, self.bound)
        t = (integers[:, None] + self.width * nodes).reshape(-1)
        values = np.cos(2 * np.pi * (t - 0.25) / 2**self.doublings)
        found, *_ = np.linalg.lstsq(chebyshev.chebvander(t / self.bound, self.degree), values, rcond=None)
        return ChebyshevSeries(-1.0, 1.0, tuple(float(c) for c in found))

    def evaluate(self, backend: Backend[V], u: V, *, target_scale: float) -> V:
        """x - round(x). Level l -> l - depth; scale -> target_scale exactly.

        `target_scale` counts for the value itself, which is `width` at most: a reading of the result at scale
        target_scale * width has values up to 1.
        """
        level = backend.level(u) - polynomial_depth(self.degree)
        left = [backend.moduli[level - i] for i in range(self.depth - polynomial_depth(self.degree))]
        scale = self._series_scale(left, target_scale)
        c = evaluate_polynomial(backend, u, self.series(), target_scale=scale)
        for _ in range(self.doublings):
            doubled = backend.mul_integer(backend.multiply(c, c), 2)
            c = backend.relinearize_rescale(backend.add_scalar(doubled, -1.0))
        v = backend.with_scale(c, backend.scale(c) * 2 * math.pi)
        if not self.cubic:
            return v
        # v + a v^3 = (a v) (v^2 + 1 / a), and a v is v at another scale.
        square = backend.relinearize_rescale(backend.multiply(v, v))
        factor = backend.add_scalar(square, 1 / CUBIC)
        scaled = backend.with_scale(v, backend.scale(v) / CUBIC)
        return backend.relinearize_rescale(
            backend.multiply(backend.drop_to(scaled, backend.level(square)), factor)
        )

    def _series_scale(self, moduli: list[int], target_scale: float) -> float:
        """The scale of the series for which the result has `target_scale`; moduli: those rescaled by."""
        scale = target_scale
        if self.cubic:
            *moduli, q_square, q_product = moduli
            # v at scale s: (s / a) (s^2 / q_square) / q_product.
            scale = (target_scale * CUBIC * q_square * q_product) ** (1 / 3)
        scale /= 2 * math.pi
        for modulus in reversed(moduli):
            scale = math.sqrt(scale * modulus)
        return scale
