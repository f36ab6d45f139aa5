"""Operators that move slots."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.rotations import sum_of_rotations
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class RotateSum(msgspec.Struct, frozen=True, tag=True):
    """sum_i rot(inputs[i], steps[i]); a single input is rotated by every step. Level and scale unchanged."""

    steps: tuple[int, ...]

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One inner product for each non-zero step, one ModDown."""
        values = inputs * len(self.steps) if len(inputs) == 1 else inputs
        return [backend.rotate_sum(values, list(self.steps))]


class SumOfRotations(msgspec.Struct, frozen=True, tag=True):
    """x <- x + rot(x, s) for each step in turn, first dropped to `level` when given. Scale unchanged."""

    steps: tuple[int, ...]
    level: int | None = None

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One key switch for each step."""
        x = inputs[0] if self.level is None else backend.drop_to(inputs[0], self.level)
        return [sum_of_rotations(backend, x, self.steps)]
