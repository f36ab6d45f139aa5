"""Hybrid key switching in three steps: decompose (ModUp), inner product with the key, ModDown.

For a polynomial d under s_in and a key s_in -> s_out: (u_0, u_1) with u_0 + u_1 s_out = d * s_in + small
noise. Source: Han and Ki, ePrint 2019/688; hoisting: Halevi and Shoup, ePrint 2018/244; accumulation in QP
before one ModDown (double hoisting): Bossuat et al., ePrint 2020/1203.

The basis conversion is exact and centred, so it commutes with automorphisms bit for bit. Axes: B digit, C
component, L limb (q_0..q_level, then p), N coefficient; everything in NTT domain.
"""

from __future__ import annotations

import torch

from aegis_fhe.ckks.keys import KeySwitchKey, key_limbs
from aegis_fhe.ckks.parameters import Parameters


def decompose(params: Parameters, d_LN: torch.Tensor) -> torch.Tensor:
    """ModUp: digit j is the centred d modulo the primes of digit j, written in all limbs of QP.

    d: [level + 1, N] -> [digit, level + 1 + k, N], values |d_j| <= Q_j / 2. Cost: one inverse NTT for each
    limb, one forward NTT for each converted row. The result serves any number of keys (hoisting).
    """
    ring, level = params.ring, d_LN.shape[0] - 1
    limbs, digits = key_limbs(params, level), params.digits(level)
    coefficients = ring.intt(d_LN, params.q_limbs(level))
    out_BLN = ring.arena.empty((len(digits), len(limbs), params.degree))
    for digit, out_LN in zip(digits, out_BLN, strict=True):
        start, stop = digit[0], digit[-1] + 1
        others = limbs[:start] + limbs[stop:]
        converted = ring.convert(coefficients[start:stop], digit, others)
        ring.arena.copy_into(d_LN[start:stop], out_LN[start:stop])
        if start:
            ring.ntt(converted[:start], others[:start], out=out_LN[:start])
        ring.ntt(converted[start:], others[start:], out=out_LN[stop:])
    return out_BLN


def inner_product(
    params: Parameters, digits_BLN: torch.Tensor, key: KeySwitchKey, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """(sum_j d_j b_j, sum_j d_j a_j) modulo Q_level * P: [digit, L, N] -> [2, L, N], reduced once.

    The key's level may be higher: its rows above are skipped, digits beyond those of d are not used. `out`,
    of the result's shape, may be reused from call to call (fresh memory of this size costs as much as the
    product).
    """
    count, rows, _ = digits_BLN.shape
    level = rows - len(params.p) - 1
    out_CLN = params.ring.arena.empty((2, *digits_BLN.shape[1:])) if out is None else out
    # Rows of the result, and how far below they lie in the key: one block when the levels agree.
    above = key.level - level
    assert above >= 0
    blocks = [(0, rows, 0)] if not above else [(0, level + 1, 0), (level + 1, rows, above)]
    limbs = key_limbs(params, level)
    for start, stop, shift in blocks:
        d_rows = [digits_BLN[j, start:stop] for j in range(count)]
        for component, half in enumerate((key.b, key.a)):
            key_rows = [half[j, start + shift : stop + shift] for j in range(count)]
            params.ring.dot(d_rows, key_rows, limbs[start:stop], out=out_CLN[component, start:stop])
    return out_CLN


def mod_down(params: Parameters, x_CLN: torch.Tensor, *, out: torch.Tensor | None = None) -> torch.Tensor:
    """round(x / P), each component once: [2, level + 1 + k, N] modulo QP -> [2, level + 1, N] modulo Q."""
    level = x_CLN.shape[1] - len(params.p) - 1
    return params.ring.mod_down(x_CLN, params.q_limbs(level), params.p_limbs, out=out)


def switch(params: Parameters, d_LN: torch.Tensor, key: KeySwitchKey) -> torch.Tensor:
    """All three steps for one polynomial: [level + 1, N] -> [2, level + 1, N]."""
    return mod_down(params, inner_product(params, decompose(params, d_LN), key))
