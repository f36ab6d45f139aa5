"""Bootstraps in a program."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class Refresh(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """`factor` times one or two real values, as the parts of one complex bootstrap; as many outputs.

    The products must be at most 1 in size. They cost nothing: the values are read at another scale, which
    the bootstrap's first plaintexts make up for. Level: the bootstrap's input level or higher -> its output
    level; scale: nominal -> nominal.
    """

    factor: float = 1.0

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One bootstrap."""
        plan = context.bootstrap
        if plan is None:
            raise CompatibilityError("the program refreshes a value but names no bootstrap: compile it again")
        real, *imaginary = (backend.drop_to(x, plan.input_level) for x in inputs)
        x = backend.add(real, backend.mul_i(imaginary[0])) if imaginary else real
        if self.factor != 1.0:
            x = backend.with_scale(x, backend.scale(x) / self.factor)
        return list(plan.refresh(backend, x)[: len(inputs)])
