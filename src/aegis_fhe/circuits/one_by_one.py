"""Operations on many values, for interpreters to which what is read once means nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.errors import CompatibilityError

V = TypeVar("V")


class OneByOne:
    """Those of `Backend` that are several of another one."""

    def multiply_matrix(
        self: Backend[V],
        xs: Sequence[Sequence[V]],
        ys: Sequence[Sequence[V]],
        onto: Sequence[Sequence[V]] = (),
    ) -> list[list[V]]:
        """Entry by entry. Raises CompatibilityError for rows that do not fit."""
        if not xs or not ys or not ys[0] or len({len(row) for row in ys}) != 1:
            raise CompatibilityError(f"a product of {len(xs)} rows and factors of {[len(row) for row in ys]}")
        if onto and [len(row) for row in onto] != [len(ys[0])] * len(xs):
            raise CompatibilityError(f"a product of [{len(xs)}][{len(ys[0])}] cannot be added to other sums")
        return [
            [
                self.multiply_sum(row, column, onto[r][s] if onto else None)
                for s, column in enumerate(zip(*ys, strict=True))
            ]
            for r, row in enumerate(xs)
        ]

    def relinearize_rescale_each(self: Backend[V], xs: Sequence[V]) -> list[V]:
        """One after the other."""
        return [self.relinearize_rescale(x) for x in xs]

    def rotate_many_each(self: Backend[V], xs: Sequence[V], steps: Sequence[int]) -> list[list[V]]:
        """One after the other."""
        return [self.rotate_many(x, steps) for x in xs]
