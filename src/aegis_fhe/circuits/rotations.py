"""Many rotations from few keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aegis_fhe.circuits.backend import Backend

V = TypeVar("V")


@dataclass(frozen=True, kw_only=True)
class RotationLadder:
    """Rotations by coarse + fine steps, r = coarse_unit * a + fine_unit * b with 0 <= b < base.

    Keys: base - 1 for the fine steps and one for each a that occurs, instead of one for each r. Each a costs
    one rotation, hoisted over all a, and one ModUp for its fine steps.
    """

    coarse_unit: int
    fine_unit: int
    base: int

    def split(self, index: int) -> tuple[int, int]:
        """index = a * base + b."""
        return divmod(index, self.base)

    def step(self, index: int) -> int:
        """The rotation that `index` stands for."""
        a, b = self.split(index)
        return self.coarse_unit * a + self.fine_unit * b

    def rotations(self, backend: Backend[V], x: V, indices: Iterable[int]) -> Iterator[tuple[int, V]]:
        """(index, rot(x, step(index))) by ascending index; one coarse rotation is alive at a time."""
        groups: dict[int, list[int]] = {}
        for index in sorted(set(indices)):
            a, b = self.split(index)
            groups.setdefault(a, []).append(b)
        coarse = backend.rotate_many(x, [self.coarse_unit * a for a in groups])
        for position, (a, fine) in enumerate(groups.items()):
            rotated = backend.rotate_many(coarse[position], [self.fine_unit * b for b in fine])
            for b, value in zip(fine, rotated, strict=True):
                yield a * self.base + b, value


def sum_of_rotations(backend: Backend[V], x: V, steps: Sequence[int]) -> V:
    """x <- x + rot(x, s) for each s in turn: the sum over all subset sums of the steps.

    Takes len(steps) key switches.
    """
    for step in steps:
        x = backend.rotate_sum([x, x], [0, step])
    return x
