"""Evaluation of a Chebyshev series by Paterson and Stockmeyer, at optimal depth and with exact scales.

The recursion p = q T_k + r goes top down with the level and scale that each part must end at, so every
constant is encoded at the one scale that makes the sums exact (Bossuat, Mouchet, Troncoso-Pastoriza, Hubaux:
ePrint 2020/1203, section 5, in the Chebyshev basis). Products below one sum are relinearised and rescaled
once, after the sum.
"""

from __future__ import annotations

import math
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.chebyshev import ChebyshevSeries, divide
from aegis_fhe.circuits.products import twice_square_minus_one
from aegis_fhe.errors import LevelError

V = TypeVar("V")
Array = NDArray[np.float64]


def polynomial_depth(degree: int) -> int:
    """Levels that a series of this degree takes: ceil(log2(degree + 1))."""
    return max(1, math.ceil(math.log2(degree + 1)))


def evaluate_polynomial(backend: Backend[V], u: V, series: ChebyshevSeries, *, target_scale: float) -> V:
    """sum_k c_k T_k(u) for u in [-1, 1] (already normalised: see `ChebyshevSeries.slope` and `.offset`).

    Level l -> l - polynomial_depth(degree); scale -> target_scale exactly. Raises LevelError when u is too
    low.
    """
    depth = polynomial_depth(series.degree)
    if backend.level(u) < depth:
        raise LevelError(
            f"a polynomial of degree {series.degree} takes {depth} levels, the value has {backend.level(u)}: "
            "lower the degree or give the program more levels"
        )
    basis = _ChebyshevBasis(backend, u)
    leaf = 2 ** max(1, math.ceil(depth / 2)) - 1
    evaluation = _Evaluation(backend, basis, leaf)
    return evaluation.at(np.array(series.coefficients), backend.level(u) - depth, target_scale)


class _ChebyshevBasis(Generic[V]):
    """T_1(u), T_2(u), ... on demand; T_k lies ceil(log2 k) levels below u."""

    def __init__(self, backend: Backend[V], u: V) -> None:
        self.backend = backend
        self.top = backend.level(u)
        self.values: dict[int, V] = {1: u}

    def level(self, k: int) -> int:
        """Level of T_k, without computing it."""
        return self.top - math.ceil(math.log2(k)) if k > 1 else self.top

    def __getitem__(self, k: int) -> V:
        if k not in self.values:
            self.values[k] = self._product(k)
        return self.values[k]

    def _product(self, k: int) -> V:
        """T_k = 2 T_a T_b - T_{a-b}, a the power of two at or above k / 2, b = k - a."""
        b = k - 2 ** (math.ceil(math.log2(k)) - 1)
        a = k - b
        backend = self.backend
        level = self.level(k) + 1
        x, y = backend.drop_to(self[a], level), backend.drop_to(self[b], level)
        if a == b:
            return twice_square_minus_one(backend, x)
        product = backend.mul_integer(backend.multiply(x, y), 2)
        rest = backend.drop_to(self[abs(a - b)], level)
        scale = backend.scale(product) / backend.scale(rest)
        product = backend.sub(product, backend.mul_scalar(rest, 1.0, scale))
        return backend.relinearize_rescale(product)


class _Evaluation(Generic[V]):
    """The recursion; `leaf` is the largest degree evaluated as a plain linear combination."""

    def __init__(self, backend: Backend[V], basis: _ChebyshevBasis[V], leaf: int) -> None:
        self.backend = backend
        self.basis = basis
        self.leaf = leaf

    def at(self, p: Array, level: int, scale: float) -> V:
        """p(u) at exactly this level and scale."""
        before = scale * self.backend.moduli[level + 1]
        value = self.before_rescale(p, level + 1, before)
        return self.backend.relinearize_rescale(value)

    def before_rescale(self, p: Array, level: int, scale: float) -> V:
        """p(u) at `level` and `scale` with products not yet relinearised nor rescaled."""
        p = _trim(p)
        degree = len(p) - 1
        if degree <= self.leaf and (degree <= 1 or self.basis.level(degree) >= level):
            return self._combination(p, level, scale)
        k = 2 ** (math.ceil(math.log2(degree + 1)) - 1)
        quotient, remainder = divide(p, k)
        power = self.backend.drop_to(self.basis[k], level)
        factor_scale = scale / self.backend.scale(power)
        quotient = _trim(quotient)
        if len(quotient) == 1:
            product = self.backend.mul_scalar(power, float(quotient[0]), factor_scale)
        else:
            product = self.backend.multiply(self.at(quotient, level, factor_scale), power)
        if not np.any(remainder):
            return product
        return self.backend.add(product, self.before_rescale(remainder, level, scale))

    def _combination(self, p: Array, level: int, scale: float) -> V:
        """sum_k p_k T_k with constants encoded so that every term has this scale."""
        backend = self.backend
        total: V | None = None
        for k in range(1, len(p)):
            if p[k] == 0.0:
                continue
            x = backend.drop_to(self.basis[k], level)
            term = backend.mul_scalar(x, float(p[k]), scale / backend.scale(x))
            total = term if total is None else backend.add(total, term)
        if total is None:
            x = backend.drop_to(self.basis[1], level)
            total = backend.mul_scalar(x, 0.0, scale / backend.scale(x))
        return backend.add_scalar(total, float(p[0])) if p[0] else total


def _trim(p: Array) -> Array:
    """Without zero leading coefficients."""
    nonzero = np.flatnonzero(p)
    return p[: int(nonzero[-1]) + 1] if len(nonzero) else p[:1]
