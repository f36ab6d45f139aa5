"""Parameter sets, named by their facts: degree, base prime, levels x bits, special primes x bits, digit size.

Bits of log2(QP) against the 128-bit bound of ePrint 2024/463:

| preset | N | levels | log2 QP | bound | digits (dnum) | fresh precision in the worst slot, scale 2^40 |
|---|---|---|---|---|---|---|
| n16(29) | 2^16 | 29 | 1651 | 1747 | 3 | 28.6 bits |
| n15(14) | 2^15 | 14 | 855 | 868 | 3 | 29.2 bits |
| n14(6) | 2^14 | 6 | 428 | 430 | 3 | 29.7 bits |

A fresh ciphertext is secret-key encrypted: noise sqrt(sigma^2 + 1/12), see `noise.py`. One rotation or
rescaling adds about 4 bits of it (rounding times the ternary secret).
"""

from __future__ import annotations

import math

from aegis_fhe.ckks.parameters import Parameters

BASE_BITS = 50
LEVEL_BITS = 40
DIGITS = 3


def n16(levels: int = 29) -> Parameters:
    """N = 2^16, q0 of 50 bits, `levels` of 40; at full depth P = 9 x 49 bits, 10 limbs in a digit.

    128 bits of security up to 31 levels; three digits (dnum) up to 29. Raises SecurityError beyond 31.
    """
    return _secure(16, levels, special_bits=49, largest_digit=10)


def n15(levels: int = 14) -> Parameters:
    """N = 2^15; at full depth P = 5 x 49 bits, 5 limbs in a digit: 128 bits up to 14 levels."""
    return _secure(15, levels, special_bits=49, largest_digit=5)


def n14(levels: int = 6) -> Parameters:
    """N = 2^14; at full depth P = 3 x 46 bits, 3 limbs in a digit: 128 bits up to 6 levels. For tests."""
    return _secure(14, levels, special_bits=46, largest_digit=3)


def secure() -> tuple[Parameters, ...]:
    """Every 128-bit preset at its default size, largest first: for tables."""
    return n16(), n15(), n14()


def insecure(log_degree: int = 11, levels: int = 3, digit_size: int = 2) -> Parameters:
    """A tiny set for tests, of no security: q0 of 50 bits, levels of 40, special primes of 49."""
    special_count = _special_count(digit_size, 49)
    return Parameters.build(
        log_degree,
        [BASE_BITS] + [LEVEL_BITS] * levels,
        [49] * special_count,
        digit_size,
        insecure=True,
        name="insecure-" + _name(log_degree, levels, special_count, 49, digit_size),
    )


def _secure(log_degree: int, levels: int, *, special_bits: int, largest_digit: int) -> Parameters:
    """Three digits, or more of `largest_digit` limbs, and no more special primes than these need.

    Fewer levels make shorter digits, and these a smaller P: fewer limbs in every key switch.
    """
    digit_size = min(largest_digit, math.ceil((levels + 1) / DIGITS))
    special_count = _special_count(digit_size, special_bits)
    return Parameters.build(
        log_degree,
        [BASE_BITS] + [LEVEL_BITS] * levels,
        [special_bits] * special_count,
        digit_size,
        name=_name(log_degree, levels, special_count, special_bits, digit_size),
    )


def _special_count(digit_size: int, special_bits: int) -> int:
    """The fewest primes of `special_bits` whose product exceeds a digit, the first (largest) one included."""
    return (BASE_BITS + LEVEL_BITS * (digit_size - 1)) // special_bits + 1


def _name(log_degree: int, levels: int, special_count: int, special_bits: int, digit_size: int) -> str:
    return f"N{log_degree}-q{BASE_BITS}+{levels}x{LEVEL_BITS}-P{special_count}x{special_bits}-d{digit_size}"
