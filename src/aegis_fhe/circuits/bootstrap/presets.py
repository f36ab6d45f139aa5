"""Bootstraps with their parameter sets, named by their facts.

| preset | N | levels left | log2 QP | bound | worst slot, bits | rms | failure of one bootstrap |
|---|---|---|---|---|---|---|---|
| n16() | 2^16 | 14 of 40 bits | 1740 | 1747 | 21 | 25 | 2^-105 |
| published() | 2^16 | 18 of 40 bits | 1731 | 1747 | for plans only | | |

Precision is that of uniform numbers in [-1, 1], real and imaginary, measured. Bits and bound as in
`ckks.presets`; the sparse secret of 32 coefficients protects one key modulo q_0 p_0, 100 bits, which takes
about 2^150 operations (`security.sparse_security_bits`).
"""

from __future__ import annotations

from dataclasses import replace

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.bootstrap.sine import SineModulus
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ring.primes import find_primes

WIDE_BITS, LEVEL_BITS = 50, 40
SPECIAL = 7


def n16(levels_left: int = 14) -> BootstrapPlan:
    """N = 2^16, full slots, 128 bits up to 14 levels left. Raises SecurityError beyond."""
    return plan(
        16,
        levels_left,
        to_coefficients=(8, 7),
        to_slots=(5, 5, 5),
        sine=SineModulus(width=2.0**-4.2, arcsine_degree=7),
    )


def published() -> BootstrapPlan:
    """N = 2^16, 35 limbs of q, 4 special ones, a bootstrap of 14 levels: for plans to compare with.

    These numbers are those of the published system (ICS 2026, DOI 10.1145/3797905.3800539), the sizes of
    primes ours: 20 of 40 bits, 15 and the special ones of 49, within 128 bits. Digits are runs of 4 limbs,
    so there are 9; its 10 come with a base prime that is a digit alone. Its precision was never measured.
    """
    return plan(
        16,
        18,
        to_coefficients=(8, 7),
        to_slots=(5, 5, 5),
        sine=SineModulus(width=2.0**-4.2, arcsine_degree=7),
        special=4,
        wide_bits=49,
    )


def n16_few(log_values: int = 8, levels_left: int = 14) -> BootstrapPlan:
    """As `n16`, for messages of 2^log_values different slots: two stages to slots, fewer digits."""
    return plan(
        16,
        levels_left,
        to_coefficients=split(log_values, 2),
        to_slots=split(log_values, 2),
        sine=SineModulus(width=2.0**-4.2, arcsine_degree=7),
        special=SPECIAL + 1,
        period=1 << log_values,
    )


def insecure(log_degree: int = 11, levels_left: int = 3, period: int | None = None) -> BootstrapPlan:
    """A small set for tests, of no security: the proportions of `n16`."""
    bits = log_degree - 1 if period is None else period.bit_length() - 1
    return plan(
        log_degree,
        levels_left,
        to_coefficients=split(bits, 2),
        to_slots=split(bits, 3),
        sine=SineModulus(width=2.0**-4.5, arcsine_degree=7),
        period=period,
        insecure=True,
    )


def tiny(log_degree: int = 11, *, strided: bool = True) -> BootstrapPlan:
    """As `n16`, of no security. strided: in four digits of which 2 or 4 devices hold some whole; a key switch
    at a low level takes all four then, and one or two where digits are runs, as those of `n16`.
    """
    bits = log_degree - 1
    found = plan(
        log_degree,
        14,
        to_coefficients=split(bits, 2),
        to_slots=split(bits, 3),
        sine=SineModulus(width=2.0**-4.5, arcsine_degree=7),
        special=SPECIAL + 1,
        insecure=True,
    )
    return replace(found, params=replace(found.params, strided=strided))


def plan(
    log_degree: int,
    levels_left: int,
    *,
    to_coefficients: tuple[int, ...],
    to_slots: tuple[int, ...],
    sine: SineModulus,
    special: int = SPECIAL,
    period: int | None = None,
    level_bits: int = LEVEL_BITS,
    wide_bits: int = WIDE_BITS,
    insecure: bool = False,
) -> BootstrapPlan:
    """A plan and its parameters: q_0, the primes of the levels, those of the bootstrap, `special` for keys.

    The largest primes are the special ones: every digit of as many limbs must be below their product, and q_0
    below the first. Raises ParameterError, and SecurityError unless `insecure`.
    """
    upper, low = len(to_slots) + sine.depth, len(to_coefficients) + levels_left
    wide = find_primes(wide_bits, 1 << log_degree, special + 1 + upper)
    params = Parameters(
        log_degree=log_degree,
        q=(wide[special], *find_primes(level_bits, 1 << log_degree, low), *wide[special + 1 :]),
        p=wide[:special],
        digit_size=special,
        scale=2.0**level_bits,
        insecure=insecure,
        name=f"{'insecure-' if insecure else ''}boot-N{log_degree}-q{wide_bits}+{low}x{level_bits}+{upper}x"
        f"{wide_bits}-P{special}x{wide_bits}-left{levels_left}",
    )
    return BootstrapPlan(
        params=params, to_coefficients=to_coefficients, to_slots=to_slots, sine=sine, period=period
    )


def split(bits: int, stages: int) -> tuple[int, ...]:
    """Bits shared out evenly, the larger shares first."""
    return tuple(bits // stages + (i < bits % stages) for i in range(stages))
