"""The transform is the one of the definition, and turns products of polynomials into products of entries."""

from __future__ import annotations

import pytest
import torch

from aegis_fhe.ring import find_primes

from . import oracle
from .rings import Ring


@pytest.mark.parametrize("degree", [1, 2, 4, 16, 32, 64, 128])
@pytest.mark.parametrize("bits", [30, 40, 50])
def test_ntt_by_definition(degree: int, bits: int) -> None:
    moduli = find_primes(bits, degree, 2)
    ring = Ring(degree, moduli)
    x = oracle.random_residues(moduli, degree, seed=1)
    got = ring.ntt(x, (0, 1))
    assert got.tolist() == [oracle.ntt(row, q) for row, q in zip(x.tolist(), moduli, strict=True)]
    assert torch.equal(ring.intt(got, (0, 1)), x)


@pytest.mark.parametrize("degree", [16, 64])
def test_product_is_negacyclic(degree: int) -> None:
    moduli = find_primes(50, degree, 1) + find_primes(40, degree, 1)
    ring, limbs = Ring(degree, moduli), (0, 1)
    x, y = (oracle.random_residues(moduli, degree, seed) for seed in (2, 3))
    product = ring.intt(ring.mul(ring.ntt(x, limbs), ring.ntt(y, limbs), limbs), limbs)
    rows = zip(x.tolist(), y.tolist(), moduli, strict=True)
    assert product.tolist() == [oracle.negacyclic_product(a, b, q) for a, b, q in rows]


def test_limbs_choose_the_moduli_and_leading_axes_are_free() -> None:
    moduli = find_primes(40, 32, 4)
    ring = Ring(32, moduli)
    x = oracle.random_residues([moduli[2], moduli[0]], 32, seed=4)
    stacked = torch.stack([torch.stack([x, x]), torch.stack([x, x])])
    got = ring.ntt(stacked, (2, 0))
    assert got.shape == (2, 2, 2, 32)
    assert got[1, 0, 0].tolist() == oracle.ntt(x[0].tolist(), moduli[2])
    assert got[0, 1, 1].tolist() == oracle.ntt(x[1].tolist(), moduli[0])


def test_in_place() -> None:
    moduli = find_primes(40, 1 << 14, 1)
    ring = Ring(1 << 14, moduli)
    x = oracle.random_residues(moduli, 1 << 14, seed=5)
    kept, y = x.clone(), x.clone()
    assert ring.ntt(y, (0,), out=y) is y
    assert torch.equal(y, ring.ntt(kept, (0,)))
    assert torch.equal(ring.intt(y, (0,), out=y), kept)
