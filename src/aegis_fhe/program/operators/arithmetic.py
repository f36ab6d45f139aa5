"""Slot-wise operators: sums, products, polynomials."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.chebyshev import ChebyshevSeries
from aegis_fhe.circuits.polynomial import evaluate_polynomial
from aegis_fhe.circuits.products import complex_parts, multiply
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class Add(msgspec.Struct, frozen=True, tag=True):
    """Sum of all inputs, at the lowest level; equal scales."""

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """len(inputs) - 1 additions."""
        total = inputs[0]
        for x in inputs[1:]:
            total = backend.add(total, x)
        return [total]


class Subtract(msgspec.Struct, frozen=True, tag=True):
    """x - y, at the lower level; equal scales."""

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One subtraction."""
        return [backend.sub(inputs[0], inputs[1])]


class AddScalar(msgspec.Struct, frozen=True, tag=True):
    """x + value. Level and scale unchanged."""

    value: float

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One addition of a constant."""
        return [backend.add_scalar(inputs[0], self.value)]


class ScalarMinus(msgspec.Struct, frozen=True, tag=True):
    """value - x. Level and scale unchanged."""

    value: float

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """A combination of one term."""
        (x,) = inputs
        return [backend.linear_combination([x], [-1.0], backend.scale(x), constant=self.value)]


class Multiply(msgspec.Struct, frozen=True, tag=True):
    """x * y, relinearised, rescaled. Level min - 1; a single input is squared."""

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One product, one key switch, one rescale."""
        return [multiply(backend, inputs[0], inputs[-1])]


class MultiplyI(msgspec.Struct, frozen=True, tag=True):
    """i x: exact, level and scale unchanged."""

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One product by a monomial."""
        return [backend.mul_i(inputs[0])]


class ComplexParts(msgspec.Struct, frozen=True, tag=True):
    """Two outputs: twice the real part of x and twice its imaginary part. Level and scale unchanged."""

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """x + conj(x) and i (conj(x) - x): one key switch."""
        return list(complex_parts(backend, inputs[0]))


class Polynomial(msgspec.Struct, frozen=True, tag=True):
    """A Chebyshev series in u = slope * x + offset, which the producer of the input has already applied.

    Level l -> l - ceil(log2(degree + 1)); scale -> nominal.
    """

    low: float
    high: float
    coefficients: tuple[float, ...]

    @classmethod
    def of(cls, series: ChebyshevSeries) -> Polynomial:
        """The operator of a fitted series."""
        return cls(series.low, series.high, series.coefficients)

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """Paterson-Stockmeyer at optimal depth."""
        series = ChebyshevSeries(self.low, self.high, self.coefficients)
        return [evaluate_polynomial(backend, inputs[0], series, target_scale=context.scale)]
