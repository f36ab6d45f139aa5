"""1/D for softmax denominators that range over orders of magnitude."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.polynomial import polynomial_depth
from aegis_fhe.circuits.products import multiply, multiply_scalar
from aegis_fhe.program.operators.arithmetic import Polynomial
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class Reciprocal(msgspec.Struct, frozen=True, tag=True):
    """u = slope D + offset in [-1, 1] -> y = value / (slope D).

    A series, then Newton steps y <- y (2 - slope D y / value): from relative error e to e^(2^steps). value =
    slope gives 1/D itself. Level l -> l - `depth`.
    """

    series: Polynomial
    offset: float
    steps: int
    value: float = 1.0

    @property
    def depth(self) -> int:
        """Levels: the series, two for each step."""
        return polynomial_depth(len(self.series.coefficients) - 1) + 2 * self.steps

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """Two products a step besides the series."""
        (y,) = self.series.lower(backend, inputs, context)
        denominator = backend.add_scalar(inputs[0], -self.offset)
        if self.steps and self.value != 1.0:  # the series is deeper, so this costs no level
            denominator = multiply_scalar(backend, denominator, 1.0 / self.value, context.scale)
        for _ in range(self.steps):
            product = multiply(backend, denominator, y)
            correction = backend.linear_combination([product], [-1.0], backend.scale(product), constant=2.0)
            y = multiply(backend, y, correction)
        return [y]
