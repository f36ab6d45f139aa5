"""A key switch composed of elementary ring operations on whole polynomials: what the fused one equals."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from aegis_fhe.ring import Ring
from aegis_fhe.ring.keyswitching import Digits, KeyHalves


def mod_up(ring: Ring, d: Tensor, ends: Sequence[int], limbs: Sequence[int]) -> list[Tensor]:
    """Each digit in all limbs, its own included: a centred value has the residues it came from."""
    digits = []
    for begin, end in pairwise((0, *ends)):
        coefficients = ring.intt(d[begin:end], limbs[begin:end])
        digits.append(ring.ntt(ring.convert(coefficients, limbs[begin:end], limbs), limbs))
    return digits


def whole(digits: Digits) -> list[Tensor]:
    """The digits as `mod_up` here gives them, from their two parts."""
    found, at = [], 0
    for begin, end in pairwise((0, *digits.ends)):
        rows = len(digits.limbs) - (end - begin)
        converted = digits.extended[at : at + rows]
        found.append(torch.cat((converted[:begin], digits.d[begin:end], converted[begin:])))
        at += rows
    assert at == len(digits.extended)
    return found


def key_rows(key: KeyHalves, digits: int, q_rows: int, limbs: int) -> list[list[Tensor]]:
    """Both halves, digit by digit: the first rows of q, and the last ones, which are of p."""
    special = limbs - q_rows
    return [
        [torch.cat((rows[:q_rows], rows[len(rows) - special :])) for rows in half[:digits]]
        for half in (key.b, key.a)
    ]


def key_product(
    ring: Ring,
    digits: Sequence[Tensor],
    key: KeyHalves,
    q_rows: int,
    limbs: Sequence[int],
    addends: Sequence[Tensor] = (),
    factor: int = 1,
) -> Tensor:
    """Both inner products, then the addends times the factor."""
    halves = key_rows(key, len(digits), q_rows, len(limbs))
    out = torch.stack([ring.dot(list(digits), half, limbs) for half in halves])
    for part, addend in zip(out, addends, strict=False):
        lifted = ring.mul_scalar(addend, [factor] * q_rows, limbs[:q_rows])
        part[:q_rows] = ring.add(part[:q_rows], lifted, limbs[:q_rows])
    return out
