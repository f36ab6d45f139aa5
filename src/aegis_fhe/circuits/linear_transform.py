"""Linear transforms with periodic diagonals.

Baby steps are hoisted, giant steps accumulated before one ModDown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import plain_scale
from aegis_fhe.circuits.rotations import RotationLadder
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import LayoutError

V = TypeVar("V")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class PeriodicTransform:
    """y = sum_r diagonals[r] * rot(x, r), each diagonal periodic with the same period (a power of two).

    With r = giant * i + j, 0 <= j < giant: y = sum_i rot( sum_j rot(d_r, -giant i) rot(x, j), giant i ).
    The inner sums are one modular matrix product; level l -> l - 1.
    """

    diagonals: Mapping[int, Array]

    def __post_init__(self) -> None:
        lengths = {len(d) for d in self.diagonals.values()}
        if len(lengths) != 1:
            raise LayoutError(f"the diagonals of a transform need one common period, got {sorted(lengths)}")

    @classmethod
    def of_matrix(cls, matrix: Array, period: int) -> PeriodicTransform:
        """y[g] = sum_f x[f] matrix[f, g] inside every window of `period` slots; sizes at most `period`.

        Diagonal r holds matrix[g + r, g]; entries outside the matrix are zero, which also masks what a
        rotation brings in from the neighbouring window.
        """
        n_in, n_out = matrix.shape
        if max(n_in, n_out) > period:
            raise LayoutError(f"a {n_in} x {n_out} matrix does not fit into windows of {period} slots")
        f, g = np.indices(matrix.shape)
        table = np.zeros((n_in + n_out - 1, period))  # row n_out - 1 + r: diagonal r
        table[f - g + n_out - 1, g] = matrix
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
            rolled = dict(zip(found, np.roll([*found.values()], giant * i, axis=1), strict=True))
            rows.append([SlotVector(rolled[j]) if j in rolled else None for j in babies])
        return rows

    def apply(self, backend: Backend[V], babies: Mapping[int, V], giant: int, target_scale: float) -> V:
        """The transform of x, given babies {j: rot(x, j)}. Scale -> target_scale, level l -> l - 1."""
        steps = sorted(babies)
        values = [babies[j] for j in steps]
        scale = plain_scale(backend, values[0], target_scale)
        inner = backend.mul_plain_sums(values, self.rows(giant, steps), scale)
        return backend.rotate_sum_rescale(inner, [giant * i for i in self.giants(giant)])


def baby_steps(
    backend: Backend[V], x: V, transforms: Sequence[PeriodicTransform], giant: int, ladder: RotationLadder
) -> dict[int, V]:
    """{j: rot(x, j)} for every baby step that one of the transforms needs; shared between them."""
    needed = sorted({r % giant for t in transforms for r in t.diagonals})
    return dict(ladder.rotations(backend, x, needed))
