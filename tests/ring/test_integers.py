"""Signed integers in and out of residue form."""

from __future__ import annotations

import math
import random

import pytest
import torch

from aegis_fhe.errors import LayoutError
from aegis_fhe.ring import Ring, find_primes

from . import oracle

DEGREE = 32
MODULI = find_primes(50, DEGREE, 2) + find_primes(40, DEGREE, 2) + find_primes(20, DEGREE, 1)
RING = Ring(DEGREE, MODULI)


def test_from_signed_takes_every_int64() -> None:
    values = [0, 1, -1, 2**63 - 1, -(2**63), MODULI[0], -MODULI[0], MODULI[4] * 7, -(2**40)]
    coefficients = torch.tensor(values + [5] * (DEGREE - len(values)))
    assert torch.equal(
        RING.from_signed(coefficients, range(5)), oracle.residues(coefficients.tolist(), MODULI)
    )
    assert RING.from_signed(torch.stack([coefficients] * 3), (4, 1)).shape == (3, 2, DEGREE)


@pytest.mark.parametrize("limbs", [(0,), (0, 4), (0, 1, 2), (4, 3, 1)])
def test_to_centred_float_rounds_once(limbs: tuple[int, ...]) -> None:
    moduli = [MODULI[i] for i in limbs]
    half, generator = math.prod(moduli) // 2, random.Random(1)
    values = [0, 1, -1, half, -half, half - 1] + [generator.randint(-half, half) for _ in range(10)]
    values += [generator.randint(-(2**k), 2**k) for k in range(4, 20)]
    got = RING.to_centred_float(oracle.residues(values, moduli), limbs)
    assert got.tolist() == [float(v) for v in values]


def test_to_integers_is_centred_for_many_limbs() -> None:
    half, generator = math.prod(MODULI) // 2, random.Random(2)
    values = [half, -half, 0, -1] + [generator.randint(-half, half) for _ in range(DEGREE - 4)]
    assert RING.to_integers(oracle.residues(values, MODULI), range(5)) == values


def test_wrong_tensors_are_refused() -> None:
    with pytest.raises(LayoutError, match="at most 3"):
        RING.to_centred_float(oracle.random_residues(MODULI[:4], DEGREE, 1), range(4))
    with pytest.raises(LayoutError, match="dtype"):
        RING.from_signed(torch.zeros(DEGREE), (0,))
