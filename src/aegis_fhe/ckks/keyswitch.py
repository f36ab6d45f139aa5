"""Hybrid key switching in three steps: decompose (ModUp), inner product with the key, ModDown.

For a polynomial d under s_in and a key s_in -> s_out: (u_0, u_1) with u_0 + u_1 s_out = d * s_in + small
noise. Source: Han and Ki, ePrint 2019/688; hoisting: Halevi and Shoup, ePrint 2018/244; accumulation in QP
before one ModDown (double hoisting): Bossuat et al., ePrint 2020/1203.

What is added to the result in Q joins the product as its P-fold: round((u + P c) / P) = round(u / P) + c.
The basis conversion is exact and centred, so it commutes with automorphisms bit for bit. Axes: C component,
L limb (q_0..q_level, then p), N coefficient; everything in NTT domain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from aegis_fhe.ckks.key_shape import key_limbs
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ring.keyswitching import Digits, KeyHalves, SwitchOperand


def decompose(params: Parameters, d_LN: torch.Tensor) -> Digits:
    """`decompose_each` of one polynomial."""
    return decompose_each(params, [d_LN])[0]


def decompose_each(params: Parameters, ds_LN: Sequence[torch.Tensor]) -> list[Digits]:
    """ModUp: digit j is the centred d modulo the primes of digit j, written in all limbs of QP; of each d.

    d: [level + 1, N], all of one level -> values |d_j| <= Q_j / 2. Cost of each: one inverse NTT for each
    limb, one forward NTT for each converted row. The result serves any number of keys (hoisting).
    """
    level = ds_LN[0].shape[0] - 1
    if params.strided:
        return [_strided_digits(params, d, level) for d in ds_LN]
    ends = [digit[-1] + 1 for digit in params.digits(level)]
    return params.ring.mod_up_each(ds_LN, ends, key_limbs(params, level))


def _strided_digits(params: Parameters, d_LN: torch.Tensor, level: int) -> Digits:
    limbs = params.q_limbs(level)
    coefficients = params.ring.intt(d_LN, limbs)
    rows = dict(enumerate(coefficients)), dict(enumerate(d_LN))
    return extend(params, params.digits(level), *rows, limbs, params.p_limbs)


def extend(
    params: Parameters,
    digits: Sequence[Sequence[int]],
    coefficients: Mapping[int, torch.Tensor],
    own: Mapping[int, torch.Tensor],
    q_limbs: Sequence[int],
    p_limbs: Sequence[int],
) -> Digits:
    """As `decompose`, for digits of any limbs and in some limbs only: what one of several devices computes.

    coefficients: rows [N] of d by limb, coefficient domain, those of `digits`. own: rows of d by limb, NTT
    domain, those of `digits` among `q_limbs`. Bit for bit the rows of `decompose`.
    """
    ring, limbs = params.ring, [*q_limbs, *p_limbs]
    rows = ring.arena.empty((len(digits), len(limbs), params.degree))
    for digit, out in zip(digits, rows, strict=True) if limbs else ():
        _extend_digit(params, digit, coefficients, own, limbs, out)
    return Digits.of_rows(rows, len(q_limbs), limbs)


def _extend_digit(
    params: Parameters,
    digit: Sequence[int],
    coefficients: Mapping[int, torch.Tensor],
    own: Mapping[int, torch.Tensor],
    limbs: Sequence[int],
    out: torch.Tensor,
) -> None:
    """One digit's rows. A function of its own: what it takes is free before the next one's."""
    ring = params.ring
    others = [row for row, limb in enumerate(limbs) if limb not in digit]
    targets = [limbs[row] for row in others]
    source = ring.arena.stack([coefficients[limb] for limb in digit])
    converted = ring.convert(source, digit, targets)
    ring.ntt(converted, targets, out=converted)
    for row, value in zip(others, converted, strict=True):
        ring.arena.copy_into(value, out[row])
    for row, limb in enumerate(limbs):
        if limb in digit:
            ring.arena.copy_into(own[limb], out[row])


def inner_product(
    params: Parameters, digits: Digits, key: KeyHalves, addends: Sequence[torch.Tensor] = ()
) -> torch.Tensor:
    """(sum_j d_j b_j + P c_0, sum_j d_j a_j + P c_1) modulo Q_level * P: [2, L, N]; addends c_0, or both.

    The key's level may be higher: its rows above are skipped, digits beyond those of d are not used.
    """
    return params.ring.key_product(digits, key, addends, math.prod(params.p))


def switch_key(
    params: Parameters,
    operands: Sequence[SwitchOperand],
    key: KeyHalves,
    *,
    galois: int = 1,
    rescale: bool = False,
) -> list[torch.Tensor]:
    """Of each operand, X -> X^galois of round(`inner_product` / P), or / (P q_level): [2, L, N] modulo Q.

    operands: of one level; the key is read once for four of them.
    """
    rows = operands[0].digits.d.shape[0] - rescale
    return params.ring.switch_key(operands, key, rows, factor=math.prod(params.p), galois=galois)


def add_inner_product(
    params: Parameters,
    total: torch.Tensor | None,
    digits: Digits,
    key: KeyHalves,
    galois: int,
    addends: Sequence[torch.Tensor] = (),
) -> torch.Tensor:
    """total + X -> X^galois of `inner_product`, in place; total None is zero."""
    return params.ring.add_key_product(total, digits, key, galois, addends, math.prod(params.p))


def mod_down(params: Parameters, x_CLN: torch.Tensor) -> torch.Tensor:
    """round(x / P): [2, level + 1 + k, N] modulo QP -> [2, level + 1, N] modulo Q."""
    level = x_CLN.shape[1] - len(params.p) - 1
    return params.ring.mod_down(x_CLN, params.q_limbs(level), params.p_limbs)


def mod_down_rescale(params: Parameters, x_CLN: torch.Tensor) -> torch.Tensor:
    """round(x / (P q_level)), rounded once: [2, level + 1 + k, N] -> [2, level, N]."""
    level = x_CLN.shape[1] - len(params.p) - 1
    return params.ring.mod_down(x_CLN, params.q_limbs(level - 1), (level, *params.p_limbs))
