"""Linear layers on hidden states: several projections of one input share its baby steps."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.linear_transform import PeriodicTransform, baby_steps
from aegis_fhe.circuits.rotations import RotationLadder
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class Project(msgspec.Struct, frozen=True, tag=True):
    """y_i = x W_i for each weight [in, out] (sub-slot order), zone 0 to zone 0, zero elsewhere.

    Level l -> l - 1, scale -> nominal. Weights depend on the sub-slot alone, so their plaintexts are
    periodic; one modular matrix product for each weight.
    """

    weights: tuple[str, ...]

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """giant - 1 baby rotations from ladder keys; an inner product for each giant step and weight."""
        layout = context.layout
        transforms = [
            PeriodicTransform.of_matrix(context.constants[name], layout.sub_slots) for name in self.weights
        ]
        ladder = RotationLadder(coarse_unit=layout.heads, fine_unit=1, base=layout.heads)
        babies = baby_steps(backend, inputs[0], transforms, layout.giant, ladder)
        return [t.apply(backend, babies, layout.giant, context.scale) for t in transforms]
