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
        product, rest = backend.multiply(x, y), backend.drop_to(self[abs(a - b)], level)
        found = backend.linear_combination([product, rest], [2.0, -1.0], backend.scale(product))
        return backend.relinearize_rescale(found)


class _Evaluation(Generic[V]):
    """The recursion; `leaf` is the largest degree evaluated as a plain linear combination."""

    def __init__(self, backend: Backend[V], basis: _ChebyshevBasis[V], leaf: int) -> None:
        self.backend = backend
        self.basis = basis
        self.leaf = leaf

    def at(self, p: Array, level: int, scale: float) -> V:
        """p(u) at exactly this level and scale."""
        before = scale * self.backend.moduli[level + 1]
        return self.backend.relinearize_rescale(self.before_rescale(_trim(p), level + 1, before))

    def before_rescale(self, p: Array, level: int, scale: float) -> V:
        """p(u) at `level` and `scale` with products not yet relinearised nor rescaled."""
        if self._is_leaf(p, level):
            return self._combination(p, level, scale, None)
        degree = len(p) - 1
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
        rest = _trim(remainder)
        if self._is_leaf(rest, level):
            return self._combination(rest, level, scale, product)
        return self.backend.add(product, self.before_rescale(rest, level, scale))

    def _is_leaf(self, p: Array, level: int) -> bool:
        """Whether all of its T_k are there at `level`, and few enough."""
        degree = len(p) - 1
        return degree <= self.leaf and (degree <= 1 or self.basis.level(degree) >= level)

    def _combination(self, p: Array, level: int, scale: float, onto: V | None) -> V:
        """onto + sum_k p_k T_k with constants encoded so that every term has this scale."""
        terms = [k for k in range(1, len(p)) if p[k]] or [1]
        xs = [self.backend.drop_to(self.basis[k], level) for k in terms]
        coefficients = [float(p[k]) if k < len(p) else 0.0 for k in terms]
        return self.backend.linear_combination(xs, coefficients, scale, constant=float(p[0]), onto=onto)


def _trim(p: Array) -> Array:
    """Without zero leading coefficients."""
    nonzero = np.flatnonzero(p)
    return p[: int(nonzero[-1]) + 1] if len(nonzero) else p[:1]
