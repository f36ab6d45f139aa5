"""Primes and roots: checked against sympy-free definitions."""

from __future__ import annotations

import pytest

from aegis_fhe.errors import ParameterError
from aegis_fhe.ring import find_primes
from aegis_fhe.ring.primes import is_prime, root_of_unity

from .rings import Ring


def test_is_prime_agrees_with_trial_division() -> None:
    by_division = [n for n in range(2000) if n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))]
    assert [n for n in range(2000) if is_prime(n)] == by_division


@pytest.mark.parametrize("carmichael", [561, 3215031751, 3825123056546413051])
def test_strong_pseudoprimes_are_refused(carmichael: int) -> None:
    assert not is_prime(carmichael)


def test_find_primes_is_descending_complete_and_below_the_limit() -> None:
    found = find_primes(20, 64, 12)
    expected = [q for q in range(2**20 - 1, 0, -1) if q % 128 == 1 and is_prime(q)][:12]
    assert list(found) == expected
    assert find_primes(20, 64, 11, exclude=found[:1]) == found[1:]


def test_sixty_primes_near_2_40_lie_within_2_minus_13() -> None:
    # Scales drift little because of it.
    primes = find_primes(40, 1 << 16, 60)
    assert all(abs(q / 2**40 - 1) < 2**-13 for q in primes)
    assert all(q < 2**40 for q in primes)


def test_fractional_sizes() -> None:
    assert 2**39.4 < find_primes(39.5, 1024, 1)[0] < 2**39.5


@pytest.mark.parametrize("degree", [1, 2, 16, 1024])
def test_roots_are_primitive_and_agree_between_degrees(degree: int) -> None:
    q = find_primes(45, 1024, 1)[0]
    psi = root_of_unity(q, degree)
    assert pow(psi, degree, q) == q - 1
    assert psi == pow(root_of_unity(q, 1024), 1024 // degree, q)


@pytest.mark.parametrize(
    ("moduli", "cause"),
    [
        ((97 * 193,), "not prime"),  # 1 mod 32 but composite
        ((1000003,), "is not 1 modulo"),
        ((2**50 + 1,), "below 2"),
        ((97, 97), "differ"),
        ((0,), "below 2"),
        ((-97,), "below 2"),
        ((97.5,), "97.5 is not an integer"),
        (("97",), "not an integer"),
        (tuple(find_primes(30, 16, 129)), "129 moduli given; .* at most 128"),
    ],
)
def test_unfit_moduli_are_refused(moduli: tuple[int, ...], cause: str) -> None:
    with pytest.raises(ParameterError, match=cause):
        Ring(16, moduli)


def test_prime_above_2_50_is_refused() -> None:
    q = next(q for q in range(2**50 + 1, 2**51, 32) if is_prime(q))
    with pytest.raises(ParameterError, match="below 2"):
        Ring(16, [q])


def test_unfit_degrees_and_sizes_are_refused() -> None:
    with pytest.raises(ParameterError, match="power of two"):
        Ring(24, [97])
    for degree in (0, -16, 1 << 21):
        with pytest.raises(ParameterError, match=f"degree {degree}: it must be"):
            Ring(degree, [97])
    with pytest.raises(ParameterError, match="at most"):
        find_primes(51, 16, 1)
    with pytest.raises(ParameterError, match="only"):
        find_primes(12, 64, 100)


def test_unknown_path_is_refused() -> None:
    with pytest.raises(ParameterError, match="available"):
        Ring(16, [97], path="sse9")
