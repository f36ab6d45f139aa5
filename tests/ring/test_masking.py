"""Masked rows against Python integers, refused words included."""

from __future__ import annotations

import pytest
import torch

from aegis_fhe.errors import LayoutError, ParameterError
from aegis_fhe.ring import find_primes, sampling

from . import oracle
from .rings import EVERY_PATH, Ring

DEGREE = 64
MODULI = find_primes(50, DEGREE, 1) + find_primes(40, DEGREE, 1) + find_primes(17, DEGREE, 1)
SEED = bytes(range(32))


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("limb", range(3))
def test_lift_row(path: str, limb: int) -> None:
    ring, q = Ring(DEGREE, MODULI, path), MODULI[limb]
    message = torch.arange(-32, 32) * (2**56 + 12345)
    source = oracle.random_residues([q], DEGREE, 1)[0]
    transformed = oracle.ntt(message.tolist(), q)
    row = torch.full((DEGREE,), -1)
    ring.lift_row(row, message, limb)
    assert row.tolist() == transformed
    factor = -(3**70)
    ring.lift_row(row, message, limb, source=source, factor=factor)
    assert row.tolist() == [(t + factor * s) % q for t, s in zip(transformed, source.tolist(), strict=True)]


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("limb", range(3))
def test_mask_row_with_refusals(path: str, limb: int) -> None:
    ring, q = Ring(DEGREE, MODULI, path), MODULI[limb]
    row, secret = oracle.random_residues([q, q], DEGREE, 2)
    secret[3], row[3] = q - 1, 0
    words = [(i * 0x9E3779B97F4A7C15 + 1) % 2**63 for i in range(DEGREE + 20)]
    words[5] = words[30] = words[31] = 0  # their product with q is 0, below 2^64 mod q: refused
    accepted = [w * q >> 64 for w in words if w * q % 2**64 >= 2**64 % q][:DEGREE]
    assert len(accepted) == DEGREE
    expected = [(r - a * s) % q for r, a, s in zip(row.tolist(), accepted, secret.tolist(), strict=True)]
    pieces = [torch.tensor(words[i:j]) for i, j in ((0, 7), (7, 40), (40, len(words)))]
    ring.mask_row(row, secret, limb, ((piece.data_ptr(), piece.nbytes) for piece in pieces))
    assert row.tolist() == expected


@pytest.mark.parametrize("path", EVERY_PATH)
def test_the_mask_is_that_of_uniform_row(path: str) -> None:
    degree = 4096
    ring = Ring(degree, find_primes(50, degree, 1) + find_primes(20, degree, 1), path)
    for limb in (0, 1):
        secret, row = sampling.uniform(ring, (limb,), SEED, b"s"), sampling.uniform(ring, (limb,), SEED, b"r")
        a = sampling.uniform(ring, (limb,), SEED, b"a")
        expected = ring.sub(row, ring.mul(a, secret, (limb,)), (limb,))
        sampling.mask_row(ring, row[0], secret[0], limb, SEED, b"a")
        assert torch.equal(row, expected)


def test_wrong_rows_are_refused() -> None:
    ring, row = Ring(DEGREE, MODULI), torch.zeros(DEGREE, dtype=torch.int64)
    with pytest.raises(LayoutError, match="shares memory"):
        ring.lift_row(row, row, 0)
    with pytest.raises(LayoutError, match="shares memory"):
        ring.mask_row(row, row, 0, [])
    with pytest.raises(LayoutError, match="message"):
        ring.lift_row(row, torch.zeros((2, DEGREE), dtype=torch.int64), 0)
    with pytest.raises(LayoutError, match="source"):
        ring.lift_row(row, row.clone(), 0, source=row[:32], factor=1)
    with pytest.raises(ParameterError, match="limbs"):
        ring.lift_row(row, row.clone(), 3)
