"""How a bootstrap spends its levels, and its stages on any backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.bootstrap.fourier import coefficients_to_slots, ladders, slots_to_coefficients
from aegis_fhe.circuits.bootstrap.overflow import overflow_probability
from aegis_fhe.circuits.bootstrap.sine import SineModulus
from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.linear_transform import PeriodicTransform
from aegis_fhe.circuits.products import complex_parts
from aegis_fhe.circuits.rotations import sum_of_rotations
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks.key_request import KeyRequest
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.security import STANDARD_BITS, sparse_security_bits
from aegis_fhe.errors import (
    ParameterError,
    RangeError,
    SecurityError,
)

V = TypeVar("V")
Observer = Callable[[str], None]

# By how much a part of a message, with its noise, may exceed 1.
MARGIN = 2.0**-6


def unseen(stage: str) -> None:
    """Nobody is told."""


@dataclass(frozen=True, kw_only=True)
class BootstrapPlan:
    """How a bootstrap spends the levels of a parameter set.

    to_coefficients, to_slots: bits of the transform that each stage takes. sine: how the overflow is removed;
    its width is the share of q_0 that messages take when the modulus is raised. weight: non-zero
    coefficients of the sparse secret. period: how many different slots messages have, all by default or a
    divisor of that: fewer values, each repeated, need shorter transforms.
    """

    params: Parameters
    to_coefficients: tuple[int, ...]
    to_slots: tuple[int, ...]
    sine: SineModulus
    weight: int = 32
    period: int | None = None

    def __post_init__(self) -> None:
        if self.values < 2 or self.params.slots % self.values:
            raise ParameterError(
                f"messages of {self.values} values do not repeat in {self.params.slots} slots: a divisor is "
                "expected, 2 or more"
            )
        if self.sparse_security_bits < STANDARD_BITS and not self.params.insecure:
            raise SecurityError(
                f"a sparse secret of {self.weight} coefficients gives its key about "
                f"{self.sparse_security_bits} bits of security, not {STANDARD_BITS}: use more coefficients"
            )
        if self.output_level < self.input_level:
            raise ParameterError(
                f"a bootstrap of {self.depth} levels leaves none of {self.params.max_level}: use more primes"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain data without the parameters, for any serialiser; `from_dict` is the inverse."""
        facts = {name: getattr(self, name) for name in ("to_coefficients", "to_slots", "weight", "period")}
        return {**facts, "sine": asdict(self.sine)}

    @classmethod
    def from_dict(cls, params: Parameters, facts: Mapping[str, Any]) -> BootstrapPlan:
        """A checked plan from `to_dict`'s form; missing or surplus fields raise ParameterError too."""
        try:
            stages = {name: tuple(facts[name]) for name in ("to_coefficients", "to_slots")}
            return cls(params=params, **{**facts, **stages, "sine": SineModulus(**facts["sine"])})
        except (KeyError, TypeError) as error:
            raise ParameterError(f"not a bootstrap plan: {error}") from None

    @property
    def values(self) -> int:
        """Different slots of a message."""
        return self.params.slots if self.period is None else self.period

    @property
    def depth(self) -> int:
        """Levels between the raised modulus and the result."""
        return len(self.to_slots) + self.sine.depth

    @property
    def input_level(self) -> int:
        """Level at which a ciphertext must still be: what slots to coefficients takes."""
        return len(self.to_coefficients)

    @property
    def output_level(self) -> int:
        """Level of the result."""
        return self.params.max_level - self.depth

    @property
    def sparse_security_bits(self) -> int:
        """Of the key to the sparse secret, modulo q_0 p_0: `security.sparse_security_bits`."""
        log_qp = math.log2(self.params.q[0]) + math.log2(self.params.p[0])
        return sparse_security_bits(self.params.log_degree, self.weight, log_qp)

    @property
    def raised_scale(self) -> float:
        """Scale of a message as coefficients: parts of 1 and their noise stay inside the sine's width."""
        return self.params.q[0] * self.sine.width / (1 + MARGIN)

    @property
    def failure(self) -> float:
        """Probability that a bootstrap fails: that some coefficient overflows the sine's integers."""
        return overflow_probability(self.params.degree, self.weight, self.sine.bound)

    @property
    def levels_left(self) -> int:
        """Levels of the result that a program may use before the next bootstrap."""
        return self.output_level - self.input_level

    @cached_property
    def coefficient_stages(self) -> list[PeriodicTransform]:
        """Slots to coefficients."""
        return slots_to_coefficients(self.values, self.to_coefficients)

    @cached_property
    def slot_stages(self) -> list[PeriodicTransform]:
        """Half of coefficients to slots: the other half comes from the sum with the conjugate."""
        return coefficients_to_slots(self.values, self.to_slots, 0.5)

    def check_message(self, values: ArrayLike) -> None:
        """For the sender: raises RangeError when a real or imaginary part is beyond what a bootstrap takes.

        A larger number comes out wrong; that cannot be seen in a ciphertext.
        """
        slots = np.asarray(values, dtype=np.complex128).reshape(-1)
        parts = np.maximum(np.abs(slots.real), np.abs(slots.imag))
        if not (parts <= 1).all():
            worst = int(np.argmax(np.where(np.isnan(parts), np.inf, parts)))
            raise RangeError(
                f"slot {worst} holds {slots[worst]:.6g}; a bootstrap takes parts from -1 to 1: scale it down"
            )

    def key_requests(self) -> list[KeyRequest]:
        """The evaluation keys that a bootstrap uses, each at its highest level."""
        return self.counts.key_requests()

    @cached_property
    def counts(self) -> OperationCounts:
        """What a bootstrap of complex slots does."""
        backend = SymbolicBackend(self.params.q, self.params.slots)
        self.combined(backend, self.refresh(backend, Symbol(self.input_level, self.params.scale)))
        return backend.counts

    def refresh(self, backend: Backend[V], x: V, *, observe: Observer = unseen) -> tuple[V, V]:
        """The real and the imaginary part of x's slots, each at most 1 in size, as values of their own.

        Level: `input_level` -> `output_level`, scale -> nominal. observe: told each stage when it is done.
        """
        x = self.low_half(backend, x)
        observe("slots to coefficients")
        x = backend.raise_modulus(x)
        observe("modulus raised")
        parts = self.in_slots(backend, x)
        del x
        observe("coefficients to slots")
        parts = self.reduced(backend, parts)
        observe("sine")
        return parts

    def low_half(self, backend: Backend[V], x: V) -> V:
        """Slots to coefficients: `input_level` -> level 0, at `raised_scale`."""
        *stages, last = self.coefficient_stages
        x = _transformed(backend, x, stages, self.params.scale)
        return _transformed(backend, x, [last], self.raised_scale)

    def in_slots(self, backend: Backend[V], x: V) -> tuple[V, V]:
        """m + q_0 I at the highest level -> its coefficients over q_0 * bound, half of them in each value."""
        # The sum over all repetitions removes coefficients that no message has, and multiplies the others.
        repetitions = self.params.slots // self.values
        x = sum_of_rotations(backend, x, [self.values << i for i in range(repetitions.bit_length() - 1)])
        # A coefficient is now a number in (-1, 1): its integer over q_0 * bound.
        x = backend.with_scale(x, float(self.params.q[0] * self.sine.bound * repetitions))
        *stages, last = self.slot_stages
        x = _transformed(backend, x, stages, backend.scale(x))
        level = backend.level(x) - 1
        x = _transformed(backend, x, [last], float(backend.moduli[level]))
        return complex_parts(backend, x)

    def reduced(self, backend: Backend[V], parts: tuple[V, V]) -> tuple[V, V]:
        """Coefficients of m + q_0 I over q_0 * bound -> the real and imaginary parts of m's message."""
        factor = self.params.q[0] / self.raised_scale
        real, imaginary = (
            self.sine.evaluate(backend, u, factor=factor, target_scale=self.params.scale) for u in parts
        )
        return real, imaginary

    def combined(self, backend: Backend[V], parts: tuple[V, V]) -> V:
        """real + i imaginary."""
        return backend.add(parts[0], backend.mul_i(parts[1]))


def _transformed(backend: Backend[V], x: V, stages: Sequence[PeriodicTransform], target_scale: float) -> V:
    for stage in stages:
        x = stage.apply(backend, x, *ladders(stage), target_scale)
    return x
