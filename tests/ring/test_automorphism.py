"""X -> X^g in both domains: by definition, as a group, and together with basis conversion."""

from __future__ import annotations

import random

import pytest
import torch

from aegis_fhe.errors import LayoutError, ParameterError
from aegis_fhe.ring import find_primes

from . import oracle
from .rings import EVERY_PATH, Ring

DEGREE = 64
MODULI = find_primes(50, DEGREE, 2) + find_primes(40, DEGREE, 2)
LIMBS = (0, 1, 2, 3)
RING = Ring(DEGREE, MODULI)
X = oracle.random_residues(MODULI, DEGREE, seed=1)


@pytest.mark.parametrize("galois", [1, 3, 5, 25, 2 * DEGREE - 1, -1, 5**1000])
def test_both_domains_by_definition(galois: int) -> None:
    expected = [oracle.automorphism(row, galois, q) for row, q in zip(X.tolist(), MODULI, strict=True)]
    assert RING.automorphism_coefficients(X, galois, LIMBS).tolist() == expected
    assert RING.intt(RING.automorphism(RING.ntt(X, LIMBS), galois), LIMBS).tolist() == expected


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("degree", [4, 8, 16, 32])
def test_every_element_on_every_path(path: str, degree: int) -> None:
    """Entry j is the value at psi^(2 brv(j) + 1), so it comes from the entry of that exponent times g."""
    moduli, bits = find_primes(50, degree, 1) + find_primes(24, degree, 1), degree.bit_length() - 1
    ring, x = Ring(degree, moduli, path), oracle.random_residues(moduli, degree, seed=2)
    exponents = [2 * oracle.bit_reverse(j, bits) + 1 for j in range(degree)]
    index = {exponent: j for j, exponent in enumerate(exponents)}
    for galois in range(1, 2 * degree, 2):
        source = [index[galois * exponent % (2 * degree)] for exponent in exponents]
        assert torch.equal(ring.automorphism(x, galois), x[:, source]), galois


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("degree", [1024, 8192])
def test_random_elements_of_large_rings_by_definition(path: str, degree: int) -> None:
    moduli, limbs = find_primes(50, degree, 1) + find_primes(30, degree, 1), (0, 1)
    ring, x = Ring(degree, moduli, path), oracle.random_residues(moduli, degree, seed=3)
    values = ring.ntt(x, limbs)
    for galois in (2 * degree - 1, *(2 * j + 1 for j in random.Random(4).sample(range(degree), 3))):
        expected = [oracle.automorphism(row, galois, q) for row, q in zip(x.tolist(), moduli, strict=True)]
        assert ring.intt(ring.automorphism(values, galois), limbs).tolist() == expected


def test_composition_is_multiplication_of_galois_elements() -> None:
    twice = RING.automorphism(RING.automorphism(X, 5), 11)
    assert torch.equal(twice, RING.automorphism(X, 55))
    assert not torch.equal(twice, RING.automorphism(X, 5))


def test_commutes_with_conversion() -> None:
    # What makes hoisting exact: rotate-then-ModUp equals ModUp-then-rotate, bit for bit.
    src, dst, galois = (0, 2), (1, 3), 5**7
    x = X[[0, 2]].contiguous()
    first = RING.convert(RING.automorphism_coefficients(x, galois, src), src, dst)
    assert torch.equal(first, RING.automorphism_coefficients(RING.convert(x, src, dst), galois, dst))


def test_even_elements_and_shared_memory_are_refused() -> None:
    with pytest.raises(ParameterError, match="even"):
        RING.automorphism(X, 4)
    with pytest.raises(LayoutError, match="shares memory"):
        RING.automorphism(X, 5, out=X)
