"""What moves take on one device of a schedule, as `runtime.mesh.flights` carries them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.alive_values import AliveValues
from aegis_fhe.placement.cost import RESIDUE_BYTES
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form, ValueMove
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.placement.traffic import MoveBytes


@dataclass
class MoveRoom:
    """What moves take on one device: room for what comes, copies of rows that leave.

    In the round before, rows that others send; in the round itself, what the device takes of its own values,
    and values put together of rows, in the memory of the rows where these are all of one.
    """

    plan: Schedule
    facts: GraphFacts
    params: Parameters
    layout: MeshLimbs
    rank: int

    def __post_init__(self) -> None:
        self.group, self.device = self.plan.mesh.place(self.rank)
        self.crossing = MoveBytes(self.layout, self.facts, self.params.degree)
        self.arriving, self.leaving = self.plan.arriving(self.group), self.plan.leaving(self.group)
        self.copies: list[dict[str, int]] = [self._copies(moves) for moves in (*self.leaving, [])]
        self.copied = [0 for _ in self.copies]
        self.current = 0
        self.expected: list[ValueMove] = []
        self._sizes: dict[tuple[int, int, Form], int] = {}

    def begin(self, number: int, alive: AliveValues) -> int:
        """A round begins, and with it what moves for the next; bytes alive while parts are put together."""
        most = self._put_together(self.arriving[number], alive)
        self.current = number + 1
        following = self.arriving[self.current] if self.current < len(self.arriving) else ()
        self.expected = sorted(following, key=lambda move: self.plan.made_at[move.value], reverse=True)
        self.made([name for name in self.copies[self.current] if name in alive.held["whole"]], alive)
        return max(most, alive.bytes)

    def expect(self, position: float, alive: AliveValues) -> None:
        """Room for what is made by the nodes up to a position."""
        while self.expected and self.plan.made_at[self.expected[-1].value] <= position:
            move = self.expected.pop()
            if move.way == "gather":
                alive.bytes += self._rows(move, self.group)
            elif move.source != self.group:
                alive.add((move.value,), move.makes)

    def made(self, values: Iterable[str], alive: AliveValues) -> None:
        """Rows of values for the next round's moves are copied as soon as there are values."""
        copies = self.copies[self.current]
        if copies:
            taken = sum(copies.pop(name, 0) for name in values)
            self.copied[self.current] += taken
            alive.bytes += taken

    def end(self, number: int, alive: AliveValues) -> int:
        """There is room for all that the next round needs; then all that this one sends has left. Bytes alive
        in between.
        """
        self.expect(math.inf, alive)
        most = alive.bytes
        alive.bytes -= self.copied[number]
        for move in self.leaving[number]:
            alive.use((move.value,), move.needs)
        return most

    def size(self, value: str, form: Form) -> int:
        """Of what the device has of a value in a form."""
        symbol = self.facts.symbols[value]
        key = symbol.level, symbol.components, form
        if key not in self._sizes:
            rows = len(self.layout.held(form, symbol.level, self.rank))
            self._sizes[key] = symbol.components * rows * self.params.degree * RESIDUE_BYTES
        return self._sizes[key]

    def _put_together(self, moves: Sequence[ValueMove], alive: AliveValues) -> int:
        parts = Counter(move.value for move in moves if move.way == "gather")
        for move in moves:
            if move.way == "gather":
                alive.add((move.value,), "whole")
        for move in moves:
            if move.source == self.group and move.way != "gather":
                alive.add((move.value,), move.makes)
        most = alive.bytes
        for move in moves:
            if move.way == "gather":
                alive.bytes -= self._rows(move, self.group)
                if parts[move.value] == 1:
                    alive.share((move.value, "whole"), (move.value, "shared"))
        return most

    def _copies(self, moves: Iterable[ValueMove]) -> dict[str, int]:
        """By value: rows for other groups, where they are some of those that the device has."""
        found: dict[str, int] = {}
        for move in moves:
            if move.way == "scatter":
                for group in move.destinations:
                    found[move.value] = found.get(move.value, 0) + self._rows(move, group)
        return found

    def _rows(self, move: ValueMove, destination: int) -> int:
        """Bytes of what crosses between devices of this one's place in their groups."""
        return self.crossing(move, destination)[self.device]
