"""Linear layers on hidden states: several projections of one input are one transform."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.linear_transform import PeriodicTransform
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class Project(msgspec.Struct, frozen=True, tag=True):
    """y = x (W + i W') in each zone z, with weights[z] = (W, W') or (W,): [in, out], in sub-slot order.

    x: real, a copy in every zone of `weights`; y: zero elsewhere. Level l -> l - 1, scale -> nominal. Weights
    depend on the sub-slot alone, so their plaintexts are periodic; all zones and parts cost what one does.
    """

    weights: tuple[tuple[str, ...], ...]

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """giant - 1 baby rotations; an inner product for each giant step."""
        layout = context.layout
        matrices = [self._matrix(names, context) for names in self.weights]
        transform = PeriodicTransform.of_matrices(matrices, layout.sub_slots)
        babies, giants = layout.feature_ladder, layout.giant_ladder
        return [transform.apply(backend, inputs[0], babies, giants, context.scale)]

    def _matrix(self, names: tuple[str, ...], context: Context) -> NDArray[Any]:
        real, *imaginary = (context.constants[name] for name in names)
        return real + 1j * imaginary[0] if imaginary else real
