"""Seconds of a schedule: every group computes its nodes in order and waits for what it reads.

Two ways of moving: as the runtime does it today, an exchange of a round begins when all its groups have
finished the round before (`blocking`), or every value leaves as soon as it exists and links carry one after
the other (`eager`), which is what an executor with asynchronous exchanges can reach.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from aegis_fhe.placement.cost import Network
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form, ValueMove
from aegis_fhe.placement.node_seconds import ExchangeSeconds
from aegis_fhe.placement.schedule import Round, Schedule
from aegis_fhe.placement.traffic import move_messages
from aegis_fhe.program.graph import Node

Moving = Literal["blocking", "eager"]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """seconds: until the last group is done. busy, exposed: its computing and its waiting, by stage."""

    seconds: float
    busy: Mapping[str, float]
    exposed: Mapping[str, float]


def simulate(
    plan: Schedule,
    facts: GraphFacts,
    seconds_of: Callable[[Node], float],
    network: Network,
    limbs: LimbPlacement,
    degree: int,
    *,
    moving: Moving = "blocking",
) -> Timeline:
    """seconds_of: a node's computing on each device of its group or team. Exchanges of limbs inside it wait.

    A node of the team begins when all devices are there. limbs: of one group.
    """
    clock = _Clock(plan, facts, seconds_of, network, MeshLimbs(plan.mesh, limbs), degree)
    for one in plan.rounds:
        if moving == "blocking":
            clock.blocking(one)
        else:
            clock.eager(one)
    last = max(range(plan.mesh.tokens), key=lambda group: clock.now[group])
    return Timeline(seconds=clock.now[last], busy=clock.busy[last], exposed=clock.exposed[last])


@dataclass
class _Clock:
    plan: Schedule
    facts: GraphFacts
    seconds_of: Callable[[Node], float]
    network: Network
    layout: MeshLimbs
    degree: int
    made: dict[tuple[str, Form, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.limbs = ExchangeSeconds(self.network, self.degree)
        groups = range(self.plan.mesh.tokens)
        self.now = [0.0 for _ in groups]
        self.free = [[0.0, 0.0] for _ in groups]  # of each group's link, out and in
        self.busy = [defaultdict[str, float](float) for _ in groups]
        self.exposed = [defaultdict[str, float](float) for _ in groups]

    def blocking(self, one: Round) -> None:
        """Exchanges one after the other, each with all its groups; then the nodes."""
        for exchange in one.exchanges:
            groups = {g for move in exchange.moves for g in (move.source, move.destination)}
            start = max(self.now[g] for g in groups)
            end = start + self._seconds(*exchange.moves)
            for g in groups:
                self._wait(g, exchange.stage, end)
            for move in exchange.moves:
                self.made[move.value, move.makes, move.destination] = end
        self._compute(one)

    def eager(self, one: Round) -> None:
        """Values one after the other over the links of their ends, from the moment they exist."""
        for move in _in_turn(one, self.plan.mesh.tokens):
            end = self.made[move.value, move.needs, move.source]
            if move.source != move.destination:
                end = self._carried(move, end)
            there = move.value, move.makes, move.destination
            self.made[there] = max(end, self.made.get(there, 0.0))  # a gather ends with its last part
        self._compute(one)

    def _carried(self, move: ValueMove, ready: float) -> float:
        """When a value that was ready has arrived; the links of both ends are busy until then."""
        out, into = self.free[move.source], self.free[move.destination]
        out[0] = into[1] = max(ready, out[0], into[1]) + self._seconds(move)
        return out[0]

    def _compute(self, one: Round) -> None:
        assignment = self.plan.assignment
        for node in one.nodes:
            groups, form = assignment.groups(node), assignment.form(node)
            ready = {group: self._ready(node, form, group) for group in groups}
            if form == "shared":
                ready = dict.fromkeys(groups, max(max(self.now), *ready.values()))
            spent, inner = self.seconds_of(node), self.limbs(self.facts.nodes[node.name])
            for group in groups:
                self._wait(group, node.stage, ready[group])
                self.now[group] += spent
                self.busy[group][node.stage] += spent
                self._wait(group, node.stage, self.now[group] + inner)
                for value in node.outputs:
                    self.made[value, form, group] = self.now[group]

    def _ready(self, node: Node, form: Form, group: int) -> float:
        """When a group has all inputs of a node."""
        return max((self.made.get((value, form, group), 0.0) for value in node.inputs), default=0.0)

    def _wait(self, group: int, stage: str, until: float) -> None:
        if until > self.now[group]:
            self.exposed[group][stage] += until - self.now[group]
            self.now[group] = until

    def _seconds(self, *moves: ValueMove) -> float:
        """Of moves that leave together."""
        return self.network.seconds(move_messages(moves, self.layout, self.facts, self.degree))


def _in_turn(one: Round, groups: int) -> list[ValueMove]:
    """By the node that needs a value first. Every group sends at the same time, each to another one: no
    receiver is waited for by two.
    """
    needed: dict[str, int] = {}
    for index, node in enumerate(one.nodes):
        for value in node.inputs:
            needed.setdefault(value, index)
    moves = [move for exchange in one.exchanges for move in exchange.moves]
    moves.sort(key=lambda move: needed[move.value])
    sent = [dict[str, int]() for _ in range(groups)]  # of each group its values, in order
    order: list[tuple[int, int, ValueMove]] = []
    for move in moves:
        values = sent[move.source]
        number = values.setdefault(move.value, len(values))
        order.append((number, (move.destination - move.source) % groups, move))
    return [move for _, _, move in sorted(order, key=lambda entry: entry[:2])]
