"""Primes that are 1 modulo 2N, and roots of unity modulo them."""

from __future__ import annotations

import math
from collections.abc import Collection

from aegis_fhe.errors import ParameterError

MAX_PRIME_BITS = 50
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def is_prime(number: int) -> bool:
    """Tell whether `number` < 3.3e24 is prime.

    Miller-Rabin with the first 12 primes as witnesses: a proof up to there (Sorenson and Webster 2015).
    """
    if number < 2:
        return False
    for p in _WITNESSES:
        if number % p == 0:
            return number == p
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for witness in _WITNESSES:
        x = pow(witness, odd, number)
        if x in (1, number - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % number
            if x == number - 1:
                break
        else:
            return False
    return True


def find_primes(bits_near: float, n: int, count: int, exclude: Collection[int] = ()) -> tuple[int, ...]:
    """Return the `count` largest primes q < 2^bits_near with q = 1 mod 2n, descending, none in `exclude`.

    `n` is the ring degree, a power of two. `bits_near` may be fractional, at most 50 (the kernels' word).

    Raises ParameterError when the degree or the size is out of range, or not enough such primes exist.
    """
    check_degree(n)
    if not 1 < bits_near <= MAX_PRIME_BITS:
        raise ParameterError(f"primes below 2^{bits_near} asked for; at most 2^{MAX_PRIME_BITS} is possible")
    limit = 2 ** int(bits_near) if float(bits_near).is_integer() else math.floor(2.0**bits_near) + 1
    step = 2 * n
    candidate = (limit - 2) // step * step + 1
    found: list[int] = []
    while len(found) < count:
        if candidate <= step // 2:
            raise ParameterError(
                f"only {len(found)} of {count} primes = 1 mod {step} below 2^{bits_near}; use a larger size"
            )
        if candidate not in exclude and is_prime(candidate):
            found.append(candidate)
        candidate -= step
    return tuple(found)


def check_degree(n: int) -> int:
    """Return log2(n); raise ParameterError unless the ring degree n is a power of two between 1 and 2^20."""
    if n < 1 or n & (n - 1) or n > 1 << 20:
        raise ParameterError(f"ring degree {n}: it must be a power of two, at most 2^20")
    return n.bit_length() - 1


def check_modulus(q: int, n: int) -> None:
    """Raise ParameterError unless q is a prime below 2^50 with q = 1 mod 2n."""
    if not 2 < q < 1 << MAX_PRIME_BITS:
        raise ParameterError(f"modulus {q} needs {q.bit_length()} bits; the kernels take primes below 2^50")
    if q % (2 * n) != 1:
        raise ParameterError(f"modulus {q} is not 1 modulo {2 * n}: no transform of degree {n} exists")
    if not is_prime(q):
        raise ParameterError(f"modulus {q} is not prime; use ring.find_primes")


def root_of_unity(q: int, n: int) -> int:
    """Return psi, a primitive 2n-th root of unity modulo the prime q = 1 mod 2n.

    psi = z^((q-1)/2n) for the least quadratic non-residue z, so the roots of all degrees agree:
    root(q, n/2) = root(q, n)^2.
    """
    z = 2
    while pow(z, (q - 1) // 2, q) != q - 1:
        z += 1
    return pow(z, (q - 1) // (2 * n), q)
