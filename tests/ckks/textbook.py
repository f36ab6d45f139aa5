"""Key switches step by step, from ring operations on whole polynomials: nothing fused, nothing folded in."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from aegis_fhe.ckks import Ciphertext, EvaluationKeys, KeyRequest, Parameters
from aegis_fhe.ckks.key_shape import key_limbs
from ring import elementary


def switched(params: Parameters, keys: EvaluationKeys, d: Tensor, request: KeyRequest) -> Tensor:
    """sum_j d_j (b_j, a_j) modulo QP: [2, limb, N]."""
    level = d.shape[0] - 1
    limbs, ring = key_limbs(params, level), params.ring
    digits = []
    for own in params.digits(level):
        coefficients = ring.intt(d[list(own)], own)
        digits.append(ring.ntt(ring.convert(coefficients, own, limbs), limbs))
    halves = keys.find(request, params.degree).halves
    return elementary.key_product(params.ring, digits, halves, level + 1, limbs)


def add_lifted(params: Parameters, product: Tensor, parts: Tensor) -> Tensor:
    """product + P parts modulo QP."""
    limbs = params.q_limbs(parts.shape[-2] - 1)
    total = product.clone()
    for to, part in zip(total, parts, strict=False):
        lifted = params.ring.mul_scalar(part.contiguous(), [math.prod(params.p)] * len(limbs), limbs)
        to[: len(limbs)] = params.ring.add(to[: len(limbs)], lifted, limbs)
    return total


def relinearized(params: Parameters, keys: EvaluationKeys, x: Ciphertext) -> tuple[Tensor, Ciphertext]:
    """(modulo QP and P-fold; divided by P and then added to c_0 and c_1)."""
    limbs = params.q_limbs(x.level)
    product = switched(params, keys, x.parts[2], KeyRequest("relin", x.level))
    divided = params.ring.mod_down(product, limbs, params.p_limbs)
    low = x.parts[:2].contiguous()
    result = Ciphertext(parts=params.ring.add(divided, low, limbs), scale=x.scale)
    return add_lifted(params, product, low), result


def rotated_sum(
    params: Parameters, keys: EvaluationKeys, xs: Sequence[Ciphertext], steps: Sequence[int | str]
) -> tuple[Tensor, Ciphertext]:
    """(modulo QP and P-fold; what was switched, divided by P once, and then added to the rest)."""
    ring, level = params.ring, min(x.level for x in xs)
    limbs = params.q_limbs(level)
    shape = (2, level + 1, params.degree)
    in_qp = ring.arena.zeros((2, len(key_limbs(params, level)), params.degree))
    rest = ring.arena.zeros(shape)
    for x, step in zip(xs, steps, strict=True):
        parts = x.parts[:, : level + 1].contiguous()
        if step == 0:
            rest = ring.add(rest, parts, limbs)
            continue
        request = KeyRequest(step, level)
        galois = request.galois(params.degree)
        assert galois is not None
        moved = ring.automorphism(switched(params, keys, parts[1], request), galois)
        in_qp = ring.add(in_qp, moved, key_limbs(params, level))
        rest[0] = ring.add(rest[0], ring.automorphism(parts[0], galois), limbs)
    divided = ring.mod_down(in_qp, limbs, params.p_limbs)
    total = add_lifted(params, in_qp, rest)
    return total, Ciphertext(parts=ring.add(divided, rest, limbs), scale=xs[0].scale)


def divided_once(params: Parameters, in_qp: Tensor) -> Tensor:
    """round(x / (P q_level)) of the centred integers x, coefficient by coefficient: [2, level, N]."""
    level = in_qp.shape[1] - len(params.p) - 1
    limbs, divisor = key_limbs(params, level), math.prod(params.p) * params.q[level]
    rounded = [
        [(v + divisor // 2) // divisor for v in params.ring.to_integers(params.ring.intt(part, limbs), limbs)]
        for part in in_qp
    ]
    kept = params.q_limbs(level - 1)
    residues = torch.tensor([[[v % params.q[i] for v in values] for i in kept] for values in rounded])
    return params.ring.ntt(params.ring.place(residues), kept)
