"""Products that end at a chosen scale, matrix products entry by entry, and the parts of a complex value.

A plaintext's own scale absorbs what the rescaling prime leaves over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import CompatibilityError

V = TypeVar("V")


def plain_scale(backend: Backend[V], x: V, target_scale: float) -> float:
    """Scale of a plaintext with which x * plaintext, rescaled, has exactly `target_scale`."""
    return target_scale * backend.moduli[backend.level(x)] / backend.scale(x)


def multiply_plain(backend: Backend[V], x: V, v: SlotVector, target_scale: float) -> V:
    """x * v, rescaled. Level l -> l - 1, scale -> target_scale."""
    return backend.rescale(backend.mul_plain(x, v, plain_scale(backend, x, target_scale)))


def multiply_scalar(backend: Backend[V], x: V, c: float, target_scale: float) -> V:
    """x * c, rescaled. Level l -> l - 1, scale -> target_scale."""
    return backend.rescale(backend.mul_scalar(x, c, plain_scale(backend, x, target_scale)))


def multiply(backend: Backend[V], x: V, y: V) -> V:
    """x * y, relinearised and rescaled. Level -> min - 1; scale(x) * scale(y) / q. One key switch."""
    level = min(backend.level(x), backend.level(y))
    product = backend.multiply(backend.drop_to(x, level), backend.drop_to(y, level))
    return backend.relinearize_rescale(product)


def twice_square_minus_one(backend: Backend[V], x: V) -> V:
    """2 x^2 - 1: cos(2 a) from cos(a), T_2k from T_k. Level l -> l - 1; scale^2 / q. One key switch."""
    square = backend.multiply(x, x)
    doubled = backend.linear_combination([square], [2.0], backend.scale(square), constant=-1.0)
    return backend.relinearize_rescale(doubled)


def complex_parts(backend: Backend[V], x: V) -> tuple[V, V]:
    """(2 Re x, 2 Im x) = (x + conj(x), i (conj(x) - x)). Level and scale unchanged. One key switch."""
    conjugate = backend.conjugate(x)
    return backend.add(x, conjugate), backend.mul_i(backend.sub(conjugate, x))


def entries_of_product(
    backend: Backend[V], xs: Sequence[Sequence[V]], ys: Sequence[Sequence[V]], onto: Sequence[Sequence[V]]
) -> list[list[V]]:
    """`Backend.multiply_matrix` for interpreters, to which operands that are read once mean nothing.

    Raises CompatibilityError for rows that do not fit.
    """
    if not xs or not ys or not ys[0] or len({len(row) for row in ys}) != 1:
        raise CompatibilityError(f"a product of {len(xs)} rows and factors of {[len(row) for row in ys]}")
    if onto and [len(row) for row in onto] != [len(ys[0])] * len(xs):
        raise CompatibilityError(f"a product of [{len(xs)}][{len(ys[0])}] cannot be added to other sums")
    return [
        [
            backend.multiply_sum(row, column, onto[r][s] if onto else None)
            for s, column in enumerate(zip(*ys, strict=True))
        ]
        for r, row in enumerate(xs)
    ]
