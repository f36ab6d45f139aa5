"""What goes from group to group of a mesh, and which collective such moves make together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

# Of a value on a group: all limbs, as its devices share them; or those that its devices have in the team.
Form = Literal["whole", "shared"]
Way = Literal["copy", "scatter", "gather"]
Kind = Literal["all_gather", "broadcast", "reduce_scatter", "exchange", "scatter", "gather"]

FORMS: dict[Way, tuple[Form, Form]] = {
    "copy": ("whole", "whole"),
    "scatter": ("whole", "shared"),
    "gather": ("shared", "whole"),
}
"""Of a value where it comes from and where it goes."""


@dataclass(frozen=True, kw_only=True)
class ValueMove:
    """A ciphertext goes from one group to others, ascending, each device sending limbs to its like.

    way: all limbs of a whole value ("copy"), those that the destination has in the team ("scatter"), or those
    that the source has in the team ("gather"; one move from every group makes a whole value). The source is a
    destination too where a device takes its part of what it has itself: nothing crosses.
    """

    value: str
    source: int
    destinations: tuple[int, ...]
    stage: str
    way: Way = "copy"

    @property
    def needs(self) -> Form:
        """Of the value at its source."""
        return FORMS[self.way][0]

    @property
    def makes(self) -> Form:
        """Of the value at its destination."""
        return FORMS[self.way][1]

    @property
    def arrivals(self) -> Iterator[Arrival]:
        """One for each destination."""
        return ((self, group) for group in self.destinations)


Arrival: TypeAlias = tuple[ValueMove, int]
"""A move and one of its destinations."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Moves that make one collective of a stage."""

    stage: str
    kind: Kind
    moves: tuple[ValueMove, ...]

    @property
    def arrivals(self) -> Iterator[Arrival]:
        """Of all moves."""
        return (arrival for move in self.moves for arrival in move.arrivals)

    @property
    def groups(self) -> set[int]:
        """All that send or receive."""
        return {group for move in self.moves for group in (move.source, *move.destinations)}


def exchanges_of(moves: Iterable[tuple[ValueMove, bool]], groups: int) -> tuple[Exchange, ...]:
    """Moves by stage and kind, in the order in which the first of each appears.

    With each move: whether what arrives is added up everywhere, parts of a sum from groups of their own.
    """
    by_value: dict[tuple[str, str, Way], list[tuple[ValueMove, bool]]] = {}
    for move, adds in moves:
        by_value.setdefault((move.stage, move.value, move.way), []).append((move, adds))
    found: dict[tuple[str, Kind], list[ValueMove]] = {}
    for (stage, _, way), own in by_value.items():
        kind = _kind(way, own, groups)
        found.setdefault((stage, kind), []).extend(move for move, _ in own)
    return tuple(
        Exchange(stage=stage, kind=_refined(kind, own), moves=tuple(own))
        for (stage, kind), own in found.items()
    )


def _kind(way: Way, moves: Sequence[tuple[ValueMove, bool]], groups: int) -> Kind:
    """Of one value's moves."""
    if way == "scatter":
        return "scatter"
    if way == "gather":
        return "all_gather" if len(moves[0][0].destinations) == groups > 1 else "gather"
    everyone = sum(len(move.destinations) for move, _ in moves) == groups - 1
    adds = all(adds for _, adds in moves)
    # Between two groups one move is both.
    if everyone and not (adds and groups == 2):
        return "all_gather"
    return "reduce_scatter" if adds else "exchange"


def _refined(kind: Kind, moves: Sequence[ValueMove]) -> Kind:
    """A gather from one group alone is a broadcast."""
    return "broadcast" if kind == "all_gather" and len({move.source for move in moves}) == 1 else kind
