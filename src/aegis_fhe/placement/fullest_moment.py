"""When a device of a schedule holds most: values from their arrival to their last use, and operators."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from aegis_fhe.ckks.key_request import TO_SPARSE
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost import RESIDUE_BYTES
from aegis_fhe.placement.device_keys import DeviceKeys
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form, ValueMove
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.program.operators import Input


def fullest_moment(
    plan: Schedule,
    facts: GraphFacts,
    params: Parameters,
    layout: MeshLimbs,
    rank: int,
    results: Sequence[str],
    copied: Mapping[int | str, int],
) -> tuple[int, int]:
    """(bytes alive, bytes inside the operator) at the moment when both together are most.

    For what arrives room is taken in the round before, what leaves stays to the end of its round: see
    `runtime.mesh.flights`.
    """
    group, form_of = plan.mesh.place(rank)[0], plan.assignment.form
    moves = _MoveRoom(plan, facts, params, layout, rank)
    alive = _Alive(plan.uses(group, results), moves.size)
    for node in plan.nodes_of(group):
        if isinstance(node.operator, Input):
            alive.add(node.outputs, form_of(node))
    most = (0, 0)
    for number, nodes in enumerate(plan.rounds_of(group)):
        most = max(most, (moves.begin(number, alive), 0), key=sum)
        for node in nodes:
            moves.expect(plan.position[node.name], alive)
            form, own = form_of(node), facts.nodes[node.name]
            inside = own.rows * params.degree * RESIDUE_BYTES
            if form == "shared":
                inside += max((copied.get(step, 0) for step in own.counts.keys), default=0)
            most = max(most, (alive.bytes, inside), key=sum)
            alive.add(node.outputs, form)
            for place, source in own.views:
                alive.share((node.outputs[place], form), (node.inputs[source], form))
            moves.made(node.outputs, alive)
            alive.use(node.inputs, form)
        moves.end(number, alive)
    return most


def copied_rows(keys: DeviceKeys, params: Parameters, layout: MeshLimbs, rank: int) -> dict[int | str, int]:
    """Bytes of the rows that the team takes of a key which its group holds, as long as it multiplies with
    them (`runtime.limbs.KeyRows`), by step.
    """
    viewed = (key for key in keys.whole if key.request.step in keys.viewed and key.digits)
    return {
        key.request.step: key.nbytes(params.degree)
        // len(key.limbs)
        * len((*layout.held("shared", key.request.level, rank), *layout.specials("shared", rank)))
        for key in viewed
        if key.request.step != TO_SPARSE
    }


@dataclass
class _Alive:
    """Values in their forms on a device, until nothing there needs them. left: how often each is needed."""

    left: dict[Form, Counter[str]]
    size: Callable[[str, Form], int]
    bytes: int = 0

    def __post_init__(self) -> None:
        self.held: dict[Form, dict[str, int]] = {"whole": {}, "shared": {}}
        self._together: dict[tuple[str, Form], _Memory] = {}

    def add(self, values: Iterable[str], form: Form) -> None:
        """Those that are there already stay."""
        held = self.held[form]
        for value in values:
            if value not in held:
                held[value] = self.size(value, form)
                self.bytes += held[value]

    def share(self, view: tuple[str, Form], source: tuple[str, Form]) -> None:
        """Both are there; the view is in the other's memory, and takes none of its own."""
        (name, form), (origin, whose) = view, source
        memory = self._together.get(source)
        if memory is None:
            memory = self._together[source] = _Memory(self.held[whose][origin], 1)
        self._together[view] = memory
        memory.views += 1
        self.bytes -= self.held[form][name]

    def use(self, values: Iterable[str], form: Form) -> None:
        """Once each."""
        left, held = self.left[form], self.held[form]
        for value in values:
            left[value] -= 1
            if left[value] <= 0 and value in held:
                self._free(value, form, held.pop(value))

    def _free(self, value: str, form: Form, size: int) -> None:
        memory = self._together.pop((value, form), None) if self._together else None
        if memory is None:
            self.bytes -= size
            return
        memory.views -= 1
        if not memory.views:
            self.bytes -= memory.bytes


@dataclass
class _Memory:
    """What several values lie in."""

    bytes: int
    views: int


@dataclass
class _MoveRoom:
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
        arriving, leaving = self.plan.arriving(self.group), self.plan.leaving(self.group)
        self.arriving, self.leaving = (_by_round(self.plan, own) for own in (arriving, leaving))
        self.copies: list[dict[str, int]] = [self._copies(moves) for moves in (*self.leaving, [])]
        self.copied = [0 for _ in self.copies]
        self._sizes: dict[tuple[int, int, Form], int] = {}

    def begin(self, number: int, alive: _Alive) -> int:
        """A round begins; bytes alive while what came in parts is put together."""
        most = self._put_together(self.arriving[number], alive)
        self.current = number + 1
        following = self.arriving[self.current] if self.current < len(self.arriving) else ()
        self.expected = sorted(following, key=lambda move: self.plan.made_at[move.value], reverse=True)
        self.made([name for name in self.copies[self.current] if name in alive.held["whole"]], alive)
        return max(most, alive.bytes)

    def expect(self, position: float, alive: _Alive) -> None:
        """Room for what is made by the nodes up to a position."""
        while self.expected and self.plan.made_at[self.expected[-1].value] <= position:
            move = self.expected.pop()
            if move.way == "gather":
                alive.bytes += self._rows(move, self.group)
            elif move.source != self.group:
                alive.add((move.value,), move.makes)

    def made(self, values: Iterable[str], alive: _Alive) -> None:
        """Rows of values for the next round's moves are copied as soon as there are values."""
        copies = self.copies[self.current]
        if copies:
            taken = sum(copies.pop(name, 0) for name in values)
            self.copied[self.current] += taken
            alive.bytes += taken

    def end(self, number: int, alive: _Alive) -> None:
        """There is room for all that the next round needs; all that this one sends has left."""
        self.expect(math.inf, alive)
        alive.bytes -= self.copied[number]
        for move in self.leaving[number]:
            alive.use((move.value,), move.needs)

    def size(self, value: str, form: Form) -> int:
        """Of what the device has of a value in a form."""
        symbol = self.facts.symbols[value]
        key = symbol.level, symbol.components, form
        if key not in self._sizes:
            rows = len(self.layout.held(form, symbol.level, self.rank))
            self._sizes[key] = symbol.components * rows * self.params.degree * RESIDUE_BYTES
        return self._sizes[key]

    def _put_together(self, moves: Sequence[ValueMove], alive: _Alive) -> int:
        most, parts = 0, Counter(move.value for move in moves if move.way == "gather")
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
        """Bytes of what crosses; nothing between a group and itself."""
        if move.source == destination:
            return 0
        symbol = self.facts.symbols[move.value]
        rows = len(self.layout.moved(move, destination, symbol.level, self.device))
        return symbol.components * rows * self.params.degree * RESIDUE_BYTES


def _by_round(plan: Schedule, moves: Sequence[list[ValueMove]]) -> list[list[ValueMove]]:
    """Of each round those of its exchanges."""
    found = iter(moves)
    return [[move for own in islice(found, len(one.exchanges)) for move in own] for one in plan.rounds]
