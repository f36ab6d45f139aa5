"""Products that end at a chosen scale, and the parts of a complex value.

A plaintext's own scale absorbs what the rescaling prime leaves over.
"""

from __future__ import annotations

from typing import TypeVar

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.ckks.slots import SlotVector

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
