"""Many rotations from few keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aegis_fhe.circuits.backend import Backend

V = TypeVar("V")


@dataclass(frozen=True)
class RotationLadder:
    """Rotations by sums of steps of several sizes, r = sum_k units[k] * digit_k, the largest first.

    Digit k of an index is below bases[k - 1]; the first is whatever is left, also negative. Keys: one for
    each digit other than 0 that occurs at a unit, instead of one for each r.
    """

    units: tuple[int, ...]
    bases: tuple[int, ...]

    def digits(self, index: int) -> tuple[int, ...]:
        """The index in mixed radix, one digit for each unit."""
        found = []
        for base in reversed(self.bases):
            index, digit = divmod(index, base)
            found.append(digit)
        return (index, *reversed(found))

    def step(self, index: int) -> int:
        """The rotation that `index` stands for."""
        return sum(unit * digit for unit, digit in zip(self.units, self.digits(index), strict=True))

    def rotations(self, backend: Backend[V], x: V, indices: Iterable[int]) -> Iterator[tuple[int, V]]:
        """(index, rot(x, step(index))) by ascending index.

        A tree: the rotations by one unit of one value are hoisted. Alive are the values of one branch.
        """
        return ((index, rotated[0]) for index, rotated in self.rotations_each(backend, [x], indices))

    def rotations_each(
        self, backend: Backend[V], xs: Sequence[V], indices: Iterable[int]
    ) -> Iterator[tuple[int, Sequence[V]]]:
        """As `rotations`, of several values, branch by branch together."""
        yield from self._branch(backend, xs, sorted(set(indices)), 0)

    def _branch(
        self, backend: Backend[V], xs: Sequence[V], indices: Sequence[int], depth: int
    ) -> Iterator[tuple[int, Sequence[V]]]:
        if depth == len(self.units):
            yield indices[0], xs
            return
        below: dict[int, list[int]] = {}
        for index in indices:
            below.setdefault(self.digits(index)[depth], []).append(index)
        moved = backend.rotate_many_each(xs, [self.units[depth] * digit for digit in below])
        for at, members in enumerate(below.values()):
            yield from self._branch(backend, [own[at] for own in moved], members, depth + 1)

    def sum_rescale(self, backend: Backend[V], xs: Mapping[int, V]) -> V:
        """sum_i rot(xs[i], step(i)), rescaled: by the smallest unit first, each sum with one ModDown."""
        sums = {self.digits(index): x for index, x in xs.items()}
        for depth in reversed(range(len(self.units))):
            groups: dict[tuple[int, ...], list[tuple[V, int]]] = {}
            for digits, x in sums.items():
                groups.setdefault(digits[:depth], []).append((x, self.units[depth] * digits[depth]))
            rotated = backend.rotate_sum if depth else backend.rotate_sum_rescale
            sums = {
                digits: rotated([x for x, _ in group], [step for _, step in group])
                for digits, group in groups.items()
            }
        return sums[()]


def sum_of_rotations(backend: Backend[V], x: V, steps: Sequence[int]) -> V:
    """x <- x + rot(x, s) for each s in turn: the sum over all subset sums of the steps.

    Takes len(steps) key switches.
    """
    for step in steps:
        x = backend.rotate_sum([x, x], [0, step])
    return x
