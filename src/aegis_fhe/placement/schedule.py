"""From where every node is computed to what moves and in which order, the same list on every device.

A node may be computed by several groups of the mesh: then its values are there without moving. Or all devices
compute it together, a team that shares limbs, as the devices of a group do. A value moves to a group whose
nodes read it and that did not compute it, once in each form, before the first of them. Nothing but this
decides what crosses between groups: collectives are what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.moves import Exchange, Form, ValueMove, exchanges_of
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
        found = self.where.get(node.name, ())
        if found is TEAM:
            return tuple(range(self.mesh.tokens))
        if (
            not found
            or list(found) != sorted(set(found))
            or not 0 <= found[0] <= found[-1] < self.mesh.tokens
        ):
            raise CompatibilityError(
                f"node {node.name} is computed by groups {list(found)} of {self.mesh.tokens}: this plan is "
                "not one of this program"
            )
        return found

    def form(self, node: Node) -> Form:
        """In which form a node has its inputs and values on each group that takes part."""
        return "shared" if self.where.get(node.name) is TEAM else "whole"


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
        return [n for r in self.rounds for n in r.nodes if group in self.assignment.groups(n)]

    def uses(self, group: int, results: Iterable[str]) -> dict[Form, Counter[str]]:
        """How often a device of a group needs each value: for its nodes, moves that leave it, and results."""
        left: dict[Form, Counter[str]] = {"whole": Counter(), "shared": Counter()}
        kept = set(results)
        for node in self.nodes_of(group):
            own = left[self.assignment.form(node)]
            own.update(node.inputs)
            own.update(kept.intersection(node.outputs))
        for one in self.rounds:
            for move in (move for exchange in one.exchanges for move in exchange.moves):
                if move.source == group:
                    left[move.needs][move.value] += 1
        return left


def schedule(graph: Graph, assignment: Assignment) -> Schedule:
    """Rounds in the order of the graph. Raises CompatibilityError as `Assignment.groups`."""
    levels = _round_of_nodes(graph, assignment)
    planner = _Moves(graph, assignment)
    rounds = []
    for index in range(1 + max(levels.values(), default=0)):
        nodes = tuple(node for node in graph.nodes if levels[node.name] == index)
        rounds.append(Round(exchanges=planner.before(index, nodes), nodes=nodes))
    return Schedule(assignment=assignment, rounds=tuple(rounds))


def _round_of_nodes(graph: Graph, assignment: Assignment) -> dict[str, int]:
    """In the graph's order, which bounds what is held: a round ends where a value of it must move."""
    made: dict[str, tuple[int, Form, tuple[int, ...]]] = {}
    found: dict[str, int] = {}
    current = 0
    for node in graph.nodes:
        groups, form = assignment.groups(node), assignment.form(node)
        for value in node.inputs:
            when, made_form, holders = made[value]
            current = max(current, when + (made_form != form or not set(groups) <= set(holders)))
        found[node.name] = current
        made.update(dict.fromkeys(node.outputs, (current, form, groups)))
    return found


@dataclass
class _Moves:
    """Since which round which group has which value in which form, and how much each has sent."""

    graph: Graph
    assignment: Assignment
    since: dict[tuple[str, Form], dict[int, int]] = field(default_factory=dict)
    sent: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.computed: dict[str, tuple[Form, frozenset[int]]] = {}
        for node in self.graph.nodes:
            groups, form = self.assignment.groups(node), self.assignment.form(node)
            for value in node.outputs:
                self.computed[value] = form, frozenset(groups)
                self.since[value, form] = dict.fromkeys(groups, -1)

    def before(self, index: int, nodes: Sequence[Node]) -> tuple[Exchange, ...]:
        """The moves that these nodes, those of a round, need, by stage and kind."""
        moves: list[tuple[ValueMove, bool]] = []
        for node in nodes:
            adds, form = is_sum(node), self.assignment.form(node)
            for group in self.assignment.groups(node):
                for value in dict.fromkeys(node.inputs):
                    here = self.since.setdefault((value, form), {})
                    if group not in here:
                        found = self._moves(value, form, group, node.stage, index)
                        moves.extend((move, adds) for move in found)
                        here[group] = index
        return exchanges_of(moves, self.assignment.mesh.tokens)

    def _moves(self, value: str, form: Form, destination: int, stage: str, index: int) -> list[ValueMove]:
        """All that bring a value to a group in a form that it does not have there."""
        made, groups = self.computed[value]
        if made == "shared":
            return [
                ValueMove(value=value, source=group, destination=destination, stage=stage, way="gather")
                for group in sorted(groups)
            ]
        if form == "whole":
            source = self._sender(groups)
            return [ValueMove(value=value, source=source, destination=destination, stage=stage)]
        has_it = self.since[value, "whole"].get(destination, index) < index
        source = destination if has_it else self._sender(groups)
        return [ValueMove(value=value, source=source, destination=destination, stage=stage, way="scatter")]

    def _sender(self, groups: frozenset[int]) -> int:
        """Of those that computed a value the one that has sent least."""
        source = min(groups, key=lambda group: (self.sent.get(group, 0), group))
        self.sent[source] = self.sent.get(source, 0) + 1
        return source


def is_sum(node: Node) -> bool:
    """Whether what arrives is added up: parts of a sum, each from a group of its own."""
    match node.operator:
        case Add() | Each(operator=Add()):
            return True
        case _:
            return False
