"""What an operator ties together, axis by axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from enum import IntEnum
from typing import Literal, TypeAlias

# Of grids of ciphertexts, and of one ciphertext: a residue has an index on each.
Axis = Literal["token_block", "feature_block", "component", "limb", "coefficient"]
GRID_AXES: tuple[Axis, ...] = ("token_block", "feature_block")
CIPHERTEXT_AXES: tuple[Axis, ...] = ("component", "limb", "coefficient")


class Coupling(IntEnum):
    """How results depend on the indices of an axis; of two operators in a row the higher one counts.

    INDEPENDENT: a result at an index takes that index alone. PERMUTED: one index, another. CONTRACTED:
    several indices whose contributions add up, so that partial sums may be made wherever these lie. GATHERED:
    several indices that must be in one place together, or one index that results at several take.
    """

    INDEPENDENT = 0
    PERMUTED = 1
    CONTRACTED = 2
    GATHERED = 3


# (axis index of a result, those that it reads, whether their contributions add up)
Reading: TypeAlias = tuple[int, frozenset[int], bool]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The coupling of each axis."""

    token_block: Coupling = Coupling.INDEPENDENT
    feature_block: Coupling = Coupling.INDEPENDENT
    component: Coupling = Coupling.INDEPENDENT
    limb: Coupling = Coupling.INDEPENDENT
    coefficient: Coupling = Coupling.INDEPENDENT

    def joined(self, other: Signature) -> Signature:
        """Of two operators in a row."""
        return Signature(**{axis: max(self.of(axis), other.of(axis)) for axis in AXES})

    def of(self, axis: Axis) -> Coupling:
        """Of one axis."""
        found: Coupling = getattr(self, axis)
        return found

    @property
    def couples_nothing(self) -> bool:
        """Whether every residue may be computed wherever it lies."""
        return not any(astuple(self))


AXES: tuple[Axis, ...] = (*GRID_AXES, *CIPHERTEXT_AXES)


def coupling(readings: Iterable[Reading]) -> Coupling:
    """Of one axis, from what every result reads of it; INDEPENDENT where nothing is read."""
    found = [(own, reads, adds) for own, reads, adds in readings if reads]
    if all(reads == {own} for own, reads, _ in found):
        return Coupling.INDEPENDENT
    if all(len(reads) == 1 for _, reads, _ in found):
        readers: dict[int, set[int]] = {}
        for own, reads, _ in found:
            readers.setdefault(min(reads), set()).add(own)
        alone = all(len(owners) == 1 for owners in readers.values())
        return Coupling.PERMUTED if alone else Coupling.GATHERED
    added = all(adds for _, reads, adds in found if len(reads) > 1)
    return Coupling.CONTRACTED if added else Coupling.GATHERED
