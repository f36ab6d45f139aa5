"""From where every node is computed to what moves and in which order, the same list on every device.

A node may be computed by several groups of the mesh: then its values are there without moving. A value moves
to a group whose nodes read it and that did not compute it, once, before the first of them. Nothing but this
decides what crosses between groups: collectives are what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.operators import Add, Each

Kind = Literal["all_gather", "broadcast", "reduce_scatter", "exchange"]


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """where: for each node by name, the groups that compute it, ascending."""

    mesh: Mesh
    where: Mapping[str, tuple[int, ...]]

    def groups(self, node: Node) -> tuple[int, ...]:
        """Raises CompatibilityError for a node that nobody computes, or a group that does not exist."""
        found = self.where.get(node.name, ())
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


@dataclass(frozen=True, kw_only=True)
class ValueMove:
    """A ciphertext goes from one group to another, each device sending its limbs to its like."""

    value: str
    source: int
    destination: int
    stage: str


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Moves that make one collective of a stage."""

    stage: str
    kind: Kind
    moves: tuple[ValueMove, ...]


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
        """What one group computes, in order."""
        return [n for r in self.rounds for n in r.nodes if group in self.assignment.where[n.name]]


def schedule(graph: Graph, assignment: Assignment) -> Schedule:
    """Rounds in the order of the graph. Raises CompatibilityError as `Assignment.groups`."""
    levels = _round_of_nodes(graph, assignment)
    planner = _Moves(graph, assignment)
    rounds = []
    for index in range(1 + max(levels.values(), default=0)):
        nodes = tuple(node for node in graph.nodes if levels[node.name] == index)
        rounds.append(Round(exchanges=planner.before(nodes), nodes=nodes))
    return Schedule(assignment=assignment, rounds=tuple(rounds))


def _round_of_nodes(graph: Graph, assignment: Assignment) -> dict[str, int]:
    """In the graph's order, which bounds what is held: a round ends where a value of it must move."""
    made: dict[str, tuple[int, tuple[int, ...]]] = {}
    found: dict[str, int] = {}
    current = 0
    for node in graph.nodes:
        groups = assignment.groups(node)
        for value in node.inputs:
            when, holders = made[value]
            current = max(current, when + (not set(groups) <= set(holders)))
        found[node.name] = current
        made.update(dict.fromkeys(node.outputs, (found[node.name], groups)))
    return found


@dataclass
class _Moves:
    """Which groups have which values so far, and how much each has sent."""

    graph: Graph
    assignment: Assignment
    holders: dict[str, set[int]] = field(default_factory=dict)
    sent: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.graph.nodes:
            self.holders.update({value: set(self.assignment.groups(node)) for value in node.outputs})
        self.computed = {value: frozenset(groups) for value, groups in self.holders.items()}

    def before(self, nodes: Sequence[Node]) -> tuple[Exchange, ...]:
        """The moves that these nodes need, by stage and kind."""
        moves: list[tuple[ValueMove, bool]] = []
        for node in nodes:
            adds = _is_sum(node)
            for group in self.assignment.groups(node):
                for value in dict.fromkeys(node.inputs):
                    if group not in self.holders[value]:
                        moves.append((self._move(value, group, node.stage), adds))
        return _exchanges(moves, self.assignment.mesh.tokens)

    def _move(self, value: str, destination: int, stage: str) -> ValueMove:
        """From the group that computed the value and has sent least."""
        source = min(self.computed[value], key=lambda group: (self.sent.get(group, 0), group))
        self.sent[source] = self.sent.get(source, 0) + 1
        self.holders[value].add(destination)
        return ValueMove(value=value, source=source, destination=destination, stage=stage)


def _is_sum(node: Node) -> bool:
    """Whether what arrives is added up: parts of a sum, each from a group of its own."""
    match node.operator:
        case Add() | Each(operator=Add()):
            return True
        case _:
            return False


def _exchanges(moves: Iterable[tuple[ValueMove, bool]], groups: int) -> tuple[Exchange, ...]:
    by_value: dict[tuple[str, str], list[tuple[ValueMove, bool]]] = {}
    for move, adds in moves:
        by_value.setdefault((move.stage, move.value), []).append((move, adds))
    found: dict[tuple[str, Kind], list[ValueMove]] = {}
    for (stage, _), own in by_value.items():
        everyone, adds = len(own) == groups - 1, all(adds for _, adds in own)
        # Between two groups one move is both.
        kind: Kind = "reduce_scatter" if adds else "exchange"
        if everyone and not (adds and groups == 2):
            kind = "all_gather"
        found.setdefault((stage, kind), []).extend(move for move, _ in own)
    return tuple(
        Exchange(stage=stage, kind=_refined(kind, own), moves=tuple(own))
        for (stage, kind), own in found.items()
    )


def _refined(kind: Kind, moves: Sequence[ValueMove]) -> Kind:
    """A gather from one group alone is a broadcast."""
    return "broadcast" if kind == "all_gather" and len({move.source for move in moves}) == 1 else kind
