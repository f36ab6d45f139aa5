"""How many bits of log2(QP) a ring degree carries at a given security.

Source: Security Guidelines for Implementing Homomorphic Encryption (ePrint 2024/463), Table 5.2: classical
attacks, uniform ternary secret, Gaussian error of sigma = 3.19. A sparse secret is *not* covered by it: see
`sparse_security_bits`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

STANDARD_BITS = 128

# security bits -> {log2 of the ring degree: largest log2(QP)}
MAX_LOG_QP: Mapping[int, Mapping[int, int]] = MappingProxyType(
    {
        128: MappingProxyType({13: 214, 14: 430, 15: 868, 16: 1747, 17: 3523}),
        192: MappingProxyType({13: 147, 14: 297, 15: 597, 16: 1199, 17: 2411}),
        256: MappingProxyType({13: 114, 14: 230, 15: 462, 16: 929, 17: 1866}),
    }
)


def max_log_qp(log_degree: int, bits: int = STANDARD_BITS) -> int | None:
    """The largest log2(QP) of the table for this degree and security; None where the table has no row."""
    return MAX_LOG_QP[bits].get(log_degree)


def security_bits(log_degree: int, log_qp: float) -> int:
    """Bits of security against classical attacks: 256, 192 or 128 by the table, an estimate below.

    Formula below 128: floor(128 * bound / log_qp), with bound the table's 128-bit entry. Degrees under 2^13
    have no entry; there the bound is that of 2^13 shrunk with the degree, and the result never reaches 128.
    The product of bits and log2(QP) falls slowly along a row of the table, so the estimate is slightly high
    (by less than one bit within 2 % of the bound: 1772 bits at 2^16 give 126, the estimator 125.7-126.3).

    Range: log_qp > 0. Cost: none. Raises nothing.
    """
    for bits in sorted(MAX_LOG_QP, reverse=True):
        bound = MAX_LOG_QP[bits].get(log_degree)
        if bound is not None and log_qp <= bound:
            return bits
    return min(STANDARD_BITS - 1, int(STANDARD_BITS * _bound_for_estimate(log_degree) / log_qp))


def describe_security(log_degree: int, log_qp: float) -> str:
    """One phrase for tables and error messages: `128-bit`, or `<128-bit (about 57, INSECURE)`."""
    bits = security_bits(log_degree, log_qp)
    if bits >= STANDARD_BITS:
        return f"{bits}-bit"
    return f"<{STANDARD_BITS}-bit (about {bits}, INSECURE)"


def sparse_security_bits(log_degree: int, weight: int, log_qp: float) -> int:
    """Bits of security of a secret of `weight` coefficients -1 or 1: an estimate, at most a uniform one's.

    The attacker guesses a set of coordinates to hold at most j of the non-zero ones, meets in the middle over
    those, and reduces a lattice of the rest, which costs 2^(128 * allowed / log_qp) with the bits that the
    table's 128-bit row allows, shrunk with the dimension. The least, over sets and j, of that cost over the
    chance that the guess is right (Albrecht, ePrint 2017/047, sections 4 and 5). log_qp > 0, 0 < weight < N.
    """
    degree, least = 1 << log_degree, float(security_bits(log_degree, log_qp))
    for kept in _dimensions(degree, weight):
        guessed = degree - kept
        lattice = STANDARD_BITS * _bound_for_estimate(13) * kept / 2**13 / log_qp
        chance = 0.0
        for j in range(weight + 1):
            chance += 2.0 ** _log2_chance(degree, weight, guessed, j)
            search = (_log2_choose(guessed, j) + j) / 2 if j <= guessed else math.inf
            if chance > 0:
                least = min(least, max(lattice, search) - math.log2(chance))
    return int(least)


def _dimensions(degree: int, weight: int) -> list[int]:
    """Sizes of the lattice tried: a sixteenth of a power of two apart."""
    top = 16 * math.log2(degree)
    return sorted({min(degree - 1, max(weight, round(2 ** (k / 16)))) for k in range(64, int(top))})


def _log2_chance(degree: int, weight: int, guessed: int, j: int) -> float:
    """log2 of the hypergeometric chance that exactly j of `weight` coordinates are among `guessed`."""
    rest = degree - guessed
    if j > guessed or weight - j > rest:
        return -math.inf
    return _log2_choose(guessed, j) + _log2_choose(rest, weight - j) - _log2_choose(degree, weight)


def _log2_choose(n: int, k: int) -> float:
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)


def _bound_for_estimate(log_degree: int) -> float:
    row = MAX_LOG_QP[STANDARD_BITS]
    nearest = min(max(log_degree, min(row)), max(row))
    return row[nearest] * 2.0 ** (log_degree - nearest)
