"""Which bootstraps a ring degree allows: depth, time, precision and keys of every plan worth looking at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.bootstrap.precision import predicted_bits
from aegis_fhe.circuits.bootstrap.presets import plan, split
from aegis_fhe.circuits.bootstrap.sine import SineModulus
from aegis_fhe.ckks.key_shape import half_bytes
from aegis_fhe.errors import ParameterError, SecurityError

COSINES = ((30, 3), (22, 4), (62, 2))
# Degree of the arcsine, log2 of the share of q_0 that a message takes.
ARCSINES = ((1, -10.0), (3, -7.0), (3, -8.0), (5, -5.5), (7, -4.2), (7, -5.0))
SPECIAL = range(12, 2, -1)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A plan with its predictions.

    ntts: single-limb NTTs, see `OperationCounts.ntts`. key_bytes: both halves of all keys. worst_bits: of the
    largest error of a part of a slot, noise and what the sine leaves out together.
    """

    plan: BootstrapPlan
    ntts: float
    key_bytes: int
    worst_bits: float

    def beats(self, other: Candidate) -> bool:
        """No worse in time, precision and keys, and better in one of them."""
        mine = (-self.ntts, self.worst_bits, -self.key_bytes)
        others = (-other.ntts, other.worst_bits, -other.key_bytes)
        return mine != others and all(a >= b for a, b in zip(mine, others, strict=True))


def search(log_degree: int, levels_left: int, *, insecure: bool = False) -> list[Candidate]:
    """The candidates that no other beats, the fastest first; empty where the modulus has no room."""
    found = list(candidates(log_degree, levels_left, insecure=insecure))
    best = [one for one in found if not any(other.beats(one) for other in found)]
    return sorted(best, key=lambda one: one.ntts)


def candidates(log_degree: int, levels_left: int, *, insecure: bool = False) -> Iterator[Candidate]:
    """Stages, cosines and arcsines combined, each with as many special primes as there is room for."""
    bits = log_degree - 1
    for low in (2, 3):
        for high in (3, 4):
            for degree, doublings in COSINES:
                for arcsine_degree, log_width in ARCSINES:
                    sine = SineModulus(
                        width=2.0**log_width,
                        degree=degree,
                        doublings=doublings,
                        arcsine_degree=arcsine_degree,
                    )
                    stages = split(bits, low), split(bits, high)
                    made = _with_room(log_degree, levels_left, stages, sine, insecure)
                    if made is not None:
                        yield assess(made)


def assess(made: BootstrapPlan) -> Candidate:
    """The predictions for one plan."""
    params = made.params
    keys = sum(2 * half_bytes(params, request.level) for request in made.key_requests())
    keys += 2 * half_bytes(params, params.max_level)  # the way back from the sparse secret
    bits = predicted_bits(made)
    return Candidate(plan=made, ntts=made.counts.ntts(params), key_bytes=keys, worst_bits=bits)


def _with_room(
    log_degree: int,
    levels_left: int,
    stages: tuple[tuple[int, ...], tuple[int, ...]],
    sine: SineModulus,
    insecure: bool,
) -> BootstrapPlan | None:
    for special in SPECIAL:
        try:
            return plan(
                log_degree,
                levels_left,
                to_coefficients=stages[0],
                to_slots=stages[1],
                sine=sine,
                special=special,
                insecure=insecure,
            )
        except (SecurityError, ParameterError):
            continue
    return None
