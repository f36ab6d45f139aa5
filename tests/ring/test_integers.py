"""Signed integers in and out of residue form."""

from __future__ import annotations

import math
import random

import pytest
import torch

from aegis_fhe.errors import LayoutError
from aegis_fhe.ring import find_primes, native

from . import oracle
from .rings import Ring, strides_matter

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


PATHS = native.available_paths()
# The smallest moduli take a division, 2^14 is where the quotient in double precision starts.
ALL_SIZES = (97, 257, 12289, 15361, 18433, *MODULI)


@pytest.mark.parametrize("path", PATHS)
def test_from_signed_is_exact_at_its_extremes(path: str) -> None:
    ring = Ring(8, ALL_SIZES, path)
    values = [s * (2**62) + d for s in (-1, 1) for d in (-1, 0, 1)] + [-(2**63), 2**63 - 1]
    for q in ALL_SIZES:
        top = 2**63 // q - 1
        for multiple in (1, 2, top // 2, top - 1, top):
            values += [s * multiple * q + d for s in (-1, 1) for d in (-1, 0, 1, q // 2, -(q // 2))]
    generator = random.Random(5)
    values += [generator.randrange(-(2**k), 2**k) for k in range(1, 64) for _ in range(8)]
    values += [0] * (-len(values) % 8)
    rows = torch.tensor(values).reshape(-1, 8)
    got = ring.from_signed(rows, range(len(ALL_SIZES)))
    for row, residues in zip(rows.tolist(), got, strict=True):
        assert torch.equal(residues, oracle.residues(row, ALL_SIZES))


@pytest.mark.parametrize("path", [*PATHS, *native.EMULATED])
@pytest.mark.parametrize("degree", [8, 32, 2048])
def test_fused_transform_is_the_two_steps(path: str, degree: int) -> None:
    ring = Ring(degree, find_primes(50, degree, 2) + find_primes(30, degree, 1), path)
    coefficients = torch.randint(-(2**62), 2**62, (3, degree), generator=torch.Generator().manual_seed(1))
    coefficients[1] //= 2**55
    limbs = (2, 0, 1)
    expected = ring.ntt(ring.from_signed(coefficients, limbs), limbs)
    assert torch.equal(ring.from_signed_ntt(coefficients, limbs), expected)
    out = torch.empty_like(expected)
    assert ring.from_signed_ntt(coefficients, limbs, out=out) is out
    assert torch.equal(out, expected)


def test_fused_transform_does_not_depend_on_threads() -> None:
    ring = Ring(4096, find_primes(50, 4096, 3))
    coefficients = torch.arange(-4096, 4096).reshape(2, 4096) ** 3
    alone = ring.from_signed_ntt(coefficients, (0, 1, 2))
    native.set_threads(2)
    assert torch.equal(ring.from_signed_ntt(coefficients, (0, 1, 2)), alone)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("limbs", [(1,), (0, 1), (0, 4), (4, 0), (2, 3, 0), (4, 2, 0)])
def test_to_centred_float_of_values_for_two_limbs(path: str, limbs: tuple[int, ...]) -> None:
    """Values that need no third limb take another way, up to the largest of them and across its border."""
    ring, moduli = Ring(DEGREE, MODULI, path), [MODULI[i] for i in limbs]
    half = math.prod(moduli[:2]) // 2
    generator = random.Random(6)
    values = [half, -half, half - 1, 1 - half, 0, moduli[0] // 2, moduli[0] // 2 + 1, -(moduli[0] // 2) - 1]
    values += [2**53 + 1, -(2**53) - 3, 2**60 + 2**7, 2**60 + 3 * 2**7, 2**60 + 2**7 + 1]
    values = [v for v in values if abs(v) <= half]
    values += [generator.randrange(-half, half) for _ in range(DEGREE - len(values))]
    assert ring.to_centred_float(oracle.residues(values, moduli), limbs).tolist() == [
        float(v) for v in values
    ]
    if len(limbs) == 3:
        values[5] = half + 1
        got = ring.to_centred_float(oracle.residues(values, moduli), limbs)
        assert got.tolist() == [float(v) for v in values]


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


@strides_matter
def test_wrong_tensors_are_refused() -> None:
    with pytest.raises(LayoutError, match="at most 3"):
        RING.to_centred_float(oracle.random_residues(MODULI[:4], DEGREE, 1), range(4))
    with pytest.raises(LayoutError, match="dtype"):
        RING.from_signed(torch.zeros(DEGREE), (0,))
    with pytest.raises(LayoutError, match="is expected"):
        RING.from_signed_ntt(torch.zeros(2 * DEGREE, dtype=torch.int64), (0,))
    both = torch.zeros((2, DEGREE), dtype=torch.int64)
    with pytest.raises(LayoutError, match="shares memory"):
        RING.from_signed_ntt(both[0], (0,), out=both[:1])
