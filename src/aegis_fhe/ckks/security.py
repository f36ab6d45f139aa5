"""How many bits of log2(QP) a ring degree carries at a given security.

Source: Security Guidelines for Implementing Homomorphic Encryption (ePrint 2024/463), Table 5.2: classical
attacks, uniform ternary secret, Gaussian error of sigma = 3.19. A sparse secret is *not* covered by it.
"""

from __future__ import annotations

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


def _bound_for_estimate(log_degree: int) -> float:
    row = MAX_LOG_QP[STANDARD_BITS]
    nearest = min(max(log_degree, min(row)), max(row))
    return row[nearest] * 2.0 ** (log_degree - nearest)
