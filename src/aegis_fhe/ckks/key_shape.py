"""How large evaluation keys are: the parameters, the limbs and the bytes of one, without tensors."""

from __future__ import annotations

import math
from dataclasses import replace

from aegis_fhe.ckks.key_request import TO_SPARSE, KeyRequest
from aegis_fhe.ckks.parameters import Parameters


def narrow_parameters(params: Parameters) -> Parameters:
    """The parameters of the key to the sparse secret: q_0, and p_0 as the one special prime.

    Raises ParameterError unless q_0 < p_0.
    """
    name = f"{params.name}, narrow"
    return replace(params, q=params.q[:1], p=params.p[:1], digit_size=1, name=name)


def parameters_of(params: Parameters, request: KeyRequest) -> Parameters:
    """The parameters that a requested key is made for: narrow ones for the way to the sparse secret."""
    return narrow_parameters(params) if request.step == TO_SPARSE else params


def key_limbs(params: Parameters, level: int) -> tuple[int, ...]:
    """Ring limbs of the rows of a key or of a decomposed polynomial at `level`: q_0..q_level, then all p."""
    return params.q_limbs(level) + params.p_limbs


def half_shape(params: Parameters, level: int) -> tuple[int, int, int]:
    """[digit, limb, N] of either half of a key at `level`."""
    return len(params.digits(level)), len(key_limbs(params, level)), params.degree


def half_bytes(params: Parameters, level: int) -> int:
    """Bytes of b of one key at `level`, which is what is stored; expanded in memory a key is twice this."""
    return math.prod(half_shape(params, level)) * 8
