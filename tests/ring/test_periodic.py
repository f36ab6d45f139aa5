"""Plaintexts in X^(N/M): compressed values stand for the full transform; periodic_dot is their product."""

from __future__ import annotations

import pytest
import torch

from aegis_fhe.errors import LayoutError
from aegis_fhe.ring import find_primes

from . import oracle
from .rings import EVERY_PATH, Ring

DEGREE = 64
MODULI = find_primes(50, DEGREE, 1) + find_primes(40, DEGREE, 2)
LIMBS = (0, 1, 2)


@pytest.mark.parametrize("period", [1, 2, 8, 32, 64])
def test_periodic_ntt_expands_to_the_full_transform(period: int) -> None:
    ring = Ring(DEGREE, MODULI)
    coefficients = torch.arange(2 * period).reshape(2, period) * 12345 - 70000
    full = torch.zeros((2, DEGREE), dtype=torch.int64)
    full[:, :: DEGREE // period] = coefficients
    compressed = ring.periodic_ntt(coefficients, LIMBS)
    assert compressed.shape == (2, 3, period)
    assert torch.equal(ring.periodic_expand(compressed), ring.ntt(ring.from_signed(full, LIMBS), LIMBS))


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("period", [1, 4, 16, 32, 64])
@pytest.mark.parametrize(("rows", "terms", "components"), [(1, 1, 1), (4, 3, 2), (6, 9, 3)])
def test_periodic_dot(path: str, period: int, rows: int, terms: int, components: int) -> None:
    ring = Ring(DEGREE, MODULI, path)
    xs = [
        torch.stack([oracle.random_residues(MODULI, DEGREE, 10 * b + c) for c in range(components)])
        for b in range(terms)
    ]
    weights = torch.stack(
        [
            torch.stack([oracle.random_residues(MODULI, period, 100 * r + b) for b in range(terms)])
            for r in range(rows)
        ]
    )
    got = ring.periodic_dot(xs, weights, LIMBS)
    assert got.shape == (rows, components, 3, DEGREE)
    repeat = DEGREE // period
    for limb, q in enumerate(MODULI):
        entries = [[x[:, limb].tolist() for x in xs], weights[:, :, limb].tolist()]
        expected = [
            [
                [
                    sum(entries[1][r][b][j // repeat] * entries[0][b][c][j] for b in range(terms)) % q
                    for j in range(DEGREE)
                ]
                for c in range(components)
            ]
            for r in range(rows)
        ]
        assert got[:, :, limb].tolist() == expected


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("period", [1, 4, 16, 64])
def test_sums_of_coefficients_are_dots_of_their_values(path: str, period: int) -> None:
    ring = Ring(DEGREE, MODULI, path)
    xs = [torch.stack([oracle.random_residues(MODULI, DEGREE, 2 * b + c) for c in (0, 1)]) for b in range(3)]
    coefficients = (torch.arange(5 * 3 * period).reshape(5, 3, period) * 7919 - 50000) * 10**9
    values = ring.periodic_ntt(coefficients.reshape(15, period), LIMBS).reshape(5, 3, 3, period)
    assert torch.equal(
        torch.stack(ring.periodic_sums(xs, coefficients, LIMBS)), ring.periodic_dot(xs, values, LIMBS)
    )
    with pytest.raises(LayoutError, match="coefficients"):
        ring.periodic_sums(xs, coefficients[0], LIMBS)


def test_wrong_tensors_are_refused() -> None:
    ring = Ring(DEGREE, MODULI)
    x = torch.zeros((2, 3, DEGREE), dtype=torch.int64)
    with pytest.raises(LayoutError, match="power of two"):
        ring.periodic_dot([x], torch.zeros((1, 1, 3, 12), dtype=torch.int64), LIMBS)
    with pytest.raises(LayoutError, match="weights"):
        ring.periodic_dot([x], torch.zeros((1, 2, 3, 16), dtype=torch.int64), LIMBS)
    with pytest.raises(LayoutError, match="at least one"):
        ring.periodic_dot([], torch.zeros((1, 0, 3, 16), dtype=torch.int64), LIMBS)
    with pytest.raises(LayoutError, match="period"):
        ring.periodic_ntt(torch.zeros((1, 2 * DEGREE), dtype=torch.int64), LIMBS)
