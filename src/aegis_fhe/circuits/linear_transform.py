"""Linear transforms with periodic diagonals.

Baby steps are hoisted, giant steps accumulated before a ModDown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import plain_scale
from aegis_fhe.circuits.rotations import RotationLadder
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import LayoutError

V = TypeVar("V")
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class PeriodicTransform:
    """y = sum_r diagonals[r] * rot(x, r * stride), the diagonals of one period (a power of two).

    With r = giant * i + j, 0 <= j < giant: y = sum_i rot( sum_j rot(d_r, -giant i) rot(x, j), giant i ).
    Diagonals are float64 or complex128: two real transforms of a real x are the parts of one.
    The inner sums are one modular matrix product; level l -> l - 1.
    """

    diagonals: Mapping[int, Array]
    stride: int = 1

    def __post_init__(self) -> None:
        lengths = {len(d) for d in self.diagonals.values()}
        if len(lengths) != 1:
            raise LayoutError(f"the diagonals of a transform need one common period, got {sorted(lengths)}")

    @classmethod
    def of_matrix(cls, matrix: Array, period: int) -> PeriodicTransform:
        """`of_matrices` of one matrix."""
        return cls.of_matrices([matrix], period)

    @classmethod
    def of_matrices(cls, matrices: Sequence[Array], period: int) -> PeriodicTransform:
        """y[z w + g] = sum_f x[z w + f] matrices[z][f, g] in every window of `period` slots.

        Matrices of one shape [n_in, n_out] side by side in the window, w = max(n_in, n_out); they share their
        rotations. Diagonal r holds matrices[z][g + r, g]; entries outside a matrix are zero, which also masks
        what a rotation brings in from its neighbour.
        """
        n_in, n_out = matrices[0].shape
        width = max(n_in, n_out)
        if len(matrices) * width > period:
            raise LayoutError(
                f"{len(matrices)} times a {n_in} x {n_out} matrix does not fit into windows of {period} slots"
            )
        f, g = np.indices((n_in, n_out))
        # Row n_out - 1 + r: diagonal r.
        table = np.zeros((n_in + n_out - 1, period), dtype=np.result_type(*matrices))
        for z, matrix in enumerate(matrices):
            table[f - g + n_out - 1, z * width + g] = matrix
        diagonals = {int(row) - (n_out - 1): table[row] for row in np.flatnonzero(table.any(axis=1))}
        if not diagonals:
            diagonals[0] = np.zeros(period)
        return cls(diagonals)

    def giants(self, giant: int) -> list[int]:
        """The giant indices i that occur."""
        return sorted({r // giant for r in self.diagonals})

    def rows(self, giant: int, babies: Sequence[int]) -> list[list[SlotVector | None]]:
        """The inner plaintexts: one row for each giant index, one column for each baby step."""
        rows: list[list[SlotVector | None]] = []
        for i in self.giants(giant):
            found = {j: self.diagonals[giant * i + j] for j in babies if giant * i + j in self.diagonals}
            shift = giant * i * self.stride
            rolled = dict(zip(found, np.roll([*found.values()], shift, axis=1), strict=True))
            rows.append([SlotVector(rolled[j]) if j in rolled else None for j in babies])
        return rows

    def apply(
        self, backend: Backend[V], x: V, babies: RotationLadder, giants: RotationLadder, target_scale: float
    ) -> V:
        """The transform of x. Scale -> target_scale, level l -> l - 1.

        babies: makes the rotations by multiples of `stride` below the smallest unit of `giants`.
        """
        giant = giants.units[-1] // self.stride
        rotated = dict(babies.rotations(backend, x, {r % giant for r in self.diagonals}))
        scale = plain_scale(backend, x, target_scale)
        make = partial(self.rows, giant, [*rotated])
        lasting = getattr(backend, "lasting", None)
        rows = make() if lasting is None else lasting((self, giant, *rotated), make)
        inner = backend.mul_plain_sums([*rotated.values()], rows, scale)
        return giants.sum_rescale(backend, dict(zip(self.giants(giant), inner, strict=True)))
