"""A round of normalise-and-square: probabilities are divided by their sum, and their shares squared.

With y_0 = exp((s - unit) / 2^r) and D_k = sum over keys of y_k, y_{k+1} = (y_k / D_k)^2 is, up to a factor
of its query alone, exp((s - unit) / 2^(r - k - 1)): r rounds lead to the softmax of s from exponentials of
scores 2^r times as narrow. `simulate.softmax` does the same on numbers.
"""

from __future__ import annotations

from typing import TypeVar

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import multiply, multiply_plain
from aegis_fhe.ckks.slots import SlotVector

V = TypeVar("V")


def round_level(y: int, factor: int, *, masked: bool) -> int:
    """Of (mask y f)^2 from y and f = 1/D at these levels: the mask meets the higher one, which can afford it.

    max(min(y - m, f), min(y, f - m)) - 2 with m = 1 where there is a mask. Squares of y and of f beside each
    other, times each other, would be as deep, and lose as many bits again as y is small.
    """
    return max(min(y - masked, factor), min(y, factor - masked)) - 2


def useful_level(y: int, factor: int, *, masked: bool) -> int:
    """The lowest level of a factor with which `round_level` is the same."""
    level = round_level(y, factor, masked=masked) + 2
    return level if y - masked >= level else level + masked


def normalise_and_square(backend: Backend[V], y: V, factor: V, mask: SlotVector | None, scale: float) -> V:
    """(mask y factor)^2 at `round_level`; scale: nominal, of what is masked. Two products, two key switches.

    Masked places become zero whatever factor holds there.
    """
    if mask is not None and backend.level(factor) > backend.level(y):
        factor = multiply_plain(backend, factor, mask, scale)
    elif mask is not None:
        y = multiply_plain(backend, y, mask, scale)
    share = multiply(backend, y, factor)
    return multiply(backend, share, share)
