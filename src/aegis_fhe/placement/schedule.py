"""From where every node is computed to what moves and in which order, the same list on every device.

A node may be computed by several groups of the mesh: then its values are there without moving. Or all devices
compute it together, a team that shares limbs, as the devices of a group do. A value moves to a group whose
nodes read it and that did not compute it, once in each form, before the first of them. Nothing but this
decides what crosses between groups: collectives are what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, cached_property
from itertools import groupby, pairwise
from typing import Final, TypeAlias

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.moves import Exchange, Form, ValueMove, Way, exchanges_of
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.operators import Add, Each


class Team(Enum):
    """All devices of a mesh together, limb i of q on rank i mod T M: one member, `TEAM`."""

    ALL = "all devices"


TEAM: Final = Team.ALL
Place: TypeAlias = tuple[int, ...] | Team
"""Who computes a node: groups, ascending, each all of it; or all devices, each its limbs."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """where: for each node by name, who computes it."""

    mesh: Mesh
    where: Mapping[str, Place]

    def groups(self, node: Node) -> tuple[int, ...]:
        """Those that take part in a node, ascending: all of them in one of the team.

        Raises CompatibilityError for a node that nobody computes, or a group that does not exist.
        """
        place = self.where.get(node.name, ())
        if place not in self._known:
            found = tuple(range(self.mesh.tokens)) if place is TEAM else place
            if (
                not found
                or list(found) != sorted(set(found))
                or not 0 <= found[0] <= found[-1] < self.mesh.tokens
            ):
                raise CompatibilityError(
                    f"node {node.name} is computed by groups {list(found)} of {self.mesh.tokens}: this plan "
                    "is not one of this program"
                )
            self._known[place] = found
        return self._known[place]

    def form(self, node: Node) -> Form:
        """In which form a node has its inputs and values on each group that takes part."""
        return "shared" if self.where.get(node.name) is TEAM else "whole"

    @cached_property
    def _known(self) -> dict[Place, tuple[int, ...]]:
        """Groups of places that were found valid."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Round:
    """What moves first, then what is computed: nothing in a round waits for a move of the same round."""

    exchanges: tuple[Exchange, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """All rounds of a graph on a mesh."""

    assignment: Assignment
    rounds: tuple[Round, ...]

    @property
    def mesh(self) -> Mesh:
        """Of the assignment."""
        return self.assignment.mesh

    def nodes_of(self, group: int) -> list[Node]:
        """What one group computes, with the team's nodes, in order."""
        return [node for nodes in self.rounds_of(group) for node in nodes]

    def rounds_of(self, group: int) -> list[list[Node]]:
        """The same round by round."""
        return self._by_group[group]

    def uses(self, group: int, results: Iterable[str], first: int = 0) -> dict[Form, Counter[str]]:
        """How often a device of a group needs each value: for its nodes, moves that leave it, and results.

        first: the number of a round; only what is left to do from it on is counted.
        """
        left: dict[Form, Counter[str]] = {"whole": Counter(), "shared": Counter()}
        kept = set(results)
        for number, nodes in enumerate(self.rounds_of(group)):
            for node in nodes:
                own = left[self.assignment.form(node)]
                own.update(kept.intersection(node.outputs))
                if number >= first:
                    own.update(node.inputs)
        for move in (move for moves in self.leaving(group)[first:] for move in moves):
            left[move.needs][move.value] += 1
        return left

    def cut(self, positions: Collection[int]) -> Schedule:
        """The same with rounds that end before these positions too; what moves stays with the first part."""
        rounds, begin = list[Round](), 0
        for one in self.rounds:
            end = begin + len(one.nodes)
            inside = sorted({place - begin for place in positions if begin < place < end})
            for start, stop in pairwise([0, *inside, len(one.nodes)]):
                exchanges = () if start else one.exchanges
                rounds.append(Round(exchanges=exchanges, nodes=one.nodes[start:stop]))
            begin = end
        return Schedule(assignment=self.assignment, rounds=tuple(rounds))

    def begins(self, number: int) -> int:
        """The position of the first node of a round, or how many nodes there are."""
        return sum(len(one.nodes) for one in self.rounds[:number])

    def arriving(self, group: int) -> list[list[ValueMove]]:
        """Round by round, the moves that a group is a destination of."""
        return self._arriving[group]

    def leaving(self, group: int) -> list[list[ValueMove]]:
        """Round by round, the moves whose source a group is."""
        return self._leaving[group]

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Of each node by name, in the order of all."""
        names = (node.name for one in self.rounds for node in one.nodes)
        return {name: place for place, name in enumerate(names)}

    @cached_property
    def made_at(self) -> Mapping[str, int]:
        """Of each value the position of its node."""
        nodes = (node for one in self.rounds for node in one.nodes)
        return {value: self.position[node.name] for node in nodes for value in node.outputs}

    @cached_property
    def _arriving(self) -> list[list[list[ValueMove]]]:
        found: list[list[list[ValueMove]]] = [[[] for _ in self.rounds] for _ in range(self.mesh.tokens)]
        for index, exchange in self._exchanges():
            for move, group in exchange.arrivals:
                found[group][index].append(move)
        return found

    @cached_property
    def _leaving(self) -> list[list[list[ValueMove]]]:
        found: list[list[list[ValueMove]]] = [[[] for _ in self.rounds] for _ in range(self.mesh.tokens)]
        for index, exchange in self._exchanges():
            for move in exchange.moves:
                found[move.source][index].append(move)
        return found

    def _exchanges(self) -> Iterator[tuple[int, Exchange]]:
        """Each with the number of its round."""
        return ((index, exchange) for index, one in enumerate(self.rounds) for exchange in one.exchanges)

    @cached_property
    def _by_group(self) -> list[list[list[Node]]]:
        found: list[list[list[Node]]] = [[[] for _ in self.rounds] for _ in range(self.mesh.tokens)]
        for index, one in enumerate(self.rounds):
            for node in one.nodes:
                for group in self.assignment.groups(node):
                    found[group][index].append(node)
        return found


def schedule(graph: Graph, assignment: Assignment) -> Schedule:
    """Rounds in the order of the graph. Raises CompatibilityError as `Assignment.groups`."""
    number, planner = _round_of_nodes(graph, assignment), _Moves(graph, assignment)
    rounds = []
    for _, found in groupby(graph.nodes, key=lambda node: number[node.name]):
        nodes = tuple(found)
        rounds.append(Round(exchanges=planner.before(nodes), nodes=nodes))
    return Schedule(assignment=assignment, rounds=tuple(rounds))


def _round_of_nodes(graph: Graph, assignment: Assignment) -> dict[str, int]:
    """In the graph's order, which bounds what is held: a round ends where a value of it must move."""
    made: dict[str, tuple[int, Form, int]] = {}
    found: dict[str, int] = {}
    current = 0
    for node in graph.nodes:
        groups, form = _mask(assignment.groups(node)), assignment.form(node)
        for value in node.inputs:
            when, made_form, holders = made[value]
            if when == current and (made_form != form or groups & ~holders):
                current += 1
        found[node.name] = current
        made.update(dict.fromkeys(node.outputs, (current, form, groups)))
    return found


@dataclass
class _Moves:
    """Which groups have which value in which form, and how much each has sent.

    Groups are masks, bit g for group g.
    """

    graph: Graph
    assignment: Assignment
    have: dict[Form, dict[str, int]] = field(default_factory=lambda: {"whole": {}, "shared": {}})
    sent: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.computed: dict[str, tuple[Form, int]] = {}
        for node in self.graph.nodes:
            groups, form = _mask(self.assignment.groups(node)), self.assignment.form(node)
            self.computed.update(dict.fromkeys(node.outputs, (form, groups)))
            self.have[form].update(dict.fromkeys(node.outputs, groups))

    def before(self, nodes: Sequence[Node]) -> tuple[Exchange, ...]:
        """The moves that these nodes, those of a round, need, by stage and kind."""
        moves, needed = list[tuple[ValueMove, bool]](), self._needed(nodes)
        for (stage, value, form), (missing, adds) in needed.items():
            way, sources = self._sources(value, form, missing)
            ends: dict[int, int] = {}
            for source, destinations in sources:
                ends[source] = ends.get(source, 0) | destinations
            for source, to in ends.items():
                move = ValueMove(value=value, source=source, destinations=_groups(to), stage=stage, way=way)
                moves.append((move, adds))
        for (_, value, form), (missing, _) in needed.items():
            self.have[form][value] = self.have[form].get(value, 0) | missing
        return exchanges_of(moves, self.assignment.mesh.tokens)

    def _needed(self, nodes: Sequence[Node]) -> dict[tuple[str, str, Form], tuple[int, bool]]:
        """By stage, value and form the groups that lack it, and whether all of its readers add up."""
        found: dict[tuple[str, str, Form], tuple[int, bool]] = {}
        arriving: dict[Form, dict[str, int]] = {"whole": {}, "shared": {}}
        for node in nodes:
            form, groups, adds = self.assignment.form(node), _mask(self.assignment.groups(node)), is_sum(node)
            here, coming = self.have[form], arriving[form]
            for value in node.inputs:
                missing = groups & ~here.get(value, 0)
                missing = missing and missing & ~coming.get(value, 0)
                if missing:
                    key = node.stage, value, form
                    known, all_add = found.get(key, (0, True))
                    found[key] = known | missing, all_add and adds
                    coming[value] = coming.get(value, 0) | missing
        return found

    def _sources(self, value: str, form: Form, missing: int) -> tuple[Way, list[tuple[int, int]]]:
        """How a value comes to groups in a form that they do not have, and from whom to whom."""
        made, holders = self.computed[value]
        if made == "shared":
            return "gather", [(source, missing) for source in _groups(holders)]
        if form == "whole":
            return "copy", self._senders(holders, missing)
        own = missing & self.have["whole"].get(value, 0)
        itself = [(group, 1 << group) for group in _groups(own)]
        return "scatter", [*itself, *self._senders(holders, missing & ~own)]

    def _senders(self, holders: int, missing: int) -> list[tuple[int, int]]:
        """Of those that computed a value, for each that lacks it, the one that has sent least."""
        if missing and not holders & (holders - 1):
            source = holders.bit_length() - 1
            self.sent[source] += missing.bit_count()
            return [(source, missing)]
        found = []
        for group in _groups(missing):
            source = min(_groups(holders), key=lambda holder: (self.sent[holder], holder))
            self.sent[source] += 1
            found.append((source, 1 << group))
        return found


@cache
def _mask(groups: tuple[int, ...]) -> int:
    return sum(1 << group for group in groups)


@cache
def _groups(mask: int) -> tuple[int, ...]:
    """Ascending."""
    return tuple(group for group in range(mask.bit_length()) if mask >> group & 1)


def is_sum(node: Node) -> bool:
    """Whether what arrives is added up: parts of a sum, each from a group of its own."""
    match node.operator:
        case Add() | Each(operator=Add()):
            return True
        case _:
            return False
