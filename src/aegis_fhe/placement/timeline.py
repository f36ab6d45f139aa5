"""Seconds of a schedule: every group computes its nodes in order and waits for what it reads.

Two ways of moving. `eager`, as `runtime.mesh` does it: a value leaves as soon as it exists and its receiver
has come to where it is made, in the round before the one that needs it, links carry one after the other, and
a group ends a round when all that it sends for it has left. `blocking`, for comparison: an exchange of a
round begins when all its groups have finished the round before.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from aegis_fhe.placement.cost import Network
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form, ValueMove, Way
from aegis_fhe.placement.node_seconds import ExchangeSeconds
from aegis_fhe.placement.schedule import Round, Schedule
from aegis_fhe.placement.traffic import MoveBytes, move_messages
from aegis_fhe.program.graph import Node

Moving = Literal["blocking", "eager"]
GroupSeconds: TypeAlias = Callable[[Node, Sequence[int]], Sequence[float]]
"""Of a node on each of the groups that compute it: until the slowest of a group's devices is done."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """seconds: until a group is done. busy, exposed: its computing and its waiting, by stage; inside: what of
    its waiting is for limbs, inside nodes.
    """

    seconds: float
    busy: Mapping[str, float]
    exposed: Mapping[str, float]
    inside: Mapping[str, float]


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

    A node of the team begins when all devices are there. limbs: of one group. Of the group that is last.
    """
    found = timelines(plan, facts, on_all_groups(seconds_of), network, limbs, degree, moving=moving)
    return max(found, key=lambda one: one.seconds)


def on_all_groups(seconds_of: Callable[[Node], float]) -> GroupSeconds:
    """The same on each of them."""

    def every(node: Node, groups: Sequence[int]) -> Sequence[float]:
        return [seconds_of(node)] * len(groups)

    return every


def timelines(
    plan: Schedule,
    facts: GraphFacts,
    seconds_of: GroupSeconds,
    network: Network,
    limbs: LimbPlacement,
    degree: int,
    *,
    moving: Moving,
) -> list[Timeline]:
    """Of every group. Arguments but seconds as of `simulate`."""
    clock = _Clock(plan, facts, seconds_of, network, MeshLimbs(plan.mesh, limbs), degree)
    for one in plan.rounds:
        if moving == "blocking":
            clock.blocking(one)
        else:
            clock.eager(one)
    return [clock.timeline(group) for group in range(plan.mesh.tokens)]


@dataclass
class _Clock:
    """made: when each group has a value in a form, `math.inf` until it does."""

    plan: Schedule
    facts: GraphFacts
    seconds_of: GroupSeconds
    network: Network
    layout: MeshLimbs
    degree: int
    made: dict[tuple[str, Form], list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.limbs = ExchangeSeconds(self.network, self.degree)
        groups = range(self.plan.mesh.tokens)
        self.now = [0.0 for _ in groups]
        self.out, self.into = ([0.0 for _ in groups] for _ in range(2))  # until when links are busy
        self.began = [_Began() for _ in groups]  # of the round before
        self._waiting: dict[int, list[float]] = {}
        self.sizes = MoveBytes(self.layout, self.facts, self.degree)
        self.turns = _Turns(self.plan.mesh.tokens)
        self._alone: dict[tuple[int, int, Way, int], Sequence[float]] = {}
        self._carried: dict[tuple[tuple[int, ...], ...], float] = {}
        self._hosts = [tuple(map(self.network.host, ranks)) for ranks in self.plan.mesh.groups()]
        self.busy = [defaultdict[str, float](float) for _ in groups]
        self.exposed = [defaultdict[str, float](float) for _ in groups]
        self.inside = [defaultdict[str, float](float) for _ in groups]

    def timeline(self, group: int) -> Timeline:
        """Up to now."""
        return Timeline(
            seconds=self.now[group],
            busy=self.busy[group],
            exposed=self.exposed[group],
            inside=self.inside[group],
        )

    def blocking(self, one: Round) -> None:
        """Exchanges one after the other, each with all its groups; then the nodes."""
        for exchange in one.exchanges:
            groups = exchange.groups
            start = max(self.now[g] for g in groups)
            end = start + self.network.seconds(move_messages(exchange.arrivals, self.sizes))
            for g in groups:
                self._wait(g, exchange.stage, end)
            for move in exchange.moves:
                there = self._row(move.value, move.makes)
                for g in move.destinations:
                    there[g] = end
        self._compute(one)

    def eager(self, one: Round) -> None:
        """Values one after the other over the links of their ends, up to a round ahead."""
        out, into, made_at = self.out, self.into, self.plan.made_at
        sent = [0.0] * len(self.now)
        for turn, steps in self.turns.of(one, made_at):
            posted = [self._posted(made_at[move.value]) for move in turn]
            ready = [self._row(move.value, move.needs)[move.source] for move in turn]
            there = [self._row(move.value, move.makes) for move in turn]
            spent = [self._seconds(move) for move in turn]
            for place, group in steps:
                source, end = turn[place].source, ready[place]
                if source != group:
                    end = max(end, out[source], into[group], posted[place][group]) + spent[place][group]
                    out[source] = into[group] = sent[source] = end
                row = there[place]  # a gather ends with its last part
                row[group] = end if row[group] == math.inf else max(end, row[group])
        self._compute(one)
        for group, end in enumerate(sent):
            self._wait(group, one.nodes[-1].stage, end)

    def _compute(self, one: Round) -> None:
        assignment = self.plan.assignment
        self.began = [_Began() for _ in self.now]
        self._waiting.clear()
        for node in one.nodes:
            groups, form = assignment.groups(node), assignment.form(node)
            rows = [self._row(value, form) for value in node.inputs]
            ready = [max([row[group] for row in rows], default=0.0) for group in groups]
            if form == "shared":
                ready = [max(*self.now, *ready)] * len(groups)
            every, inner = self.seconds_of(node, groups), self.limbs(self.facts.nodes[node.name])
            position = self.plan.position[node.name]
            for group, start, spent in zip(groups, ready, every, strict=True):
                self.began[group].positions.append(position)
                self.began[group].seconds.append(self.now[group])
                self._wait(group, node.stage, start)
                self.now[group] += spent
                self.busy[group][node.stage] += spent
                self._wait(group, node.stage, self.now[group] + inner)
                self.inside[group][node.stage] += inner
            for value in node.outputs:
                there = self._row(value, form)
                for group in groups:
                    there[group] = self.now[group]
        for began, now in zip(self.began, self.now, strict=True):
            began.ended = now

    def _posted(self, position: int) -> list[float]:
        """When each group has room for a value: when, in the round before, it came to where that is made."""
        if position not in self._waiting:
            self._waiting[position] = [began.at(position) for began in self.began]
        return self._waiting[position]

    def _row(self, value: str, form: Form) -> list[float]:
        key = value, form
        if key not in self.made:
            self.made[key] = [math.inf] * len(self.now)
        return self.made[key]

    def _wait(self, group: int, stage: str, until: float) -> None:
        if until > self.now[group]:
            self.exposed[group][stage] += until - self.now[group]
            self.now[group] = until

    def _seconds(self, move: ValueMove) -> Sequence[float]:
        """Of one move to each group alone. Such of the same rows from the same end take as long."""
        symbol = self.facts.symbols[move.value]
        key = symbol.level, symbol.components, move.way, move.source
        if key not in self._alone:
            groups = range(self.plan.mesh.tokens)
            self._alone[key] = [self._between(move, group) for group in groups]
        return self._alone[key]

    def _between(self, move: ValueMove, group: int) -> float:
        """Of the same bytes from the same hosts to the same hosts, as long."""
        key = self.sizes(move, group), self._hosts[move.source], self._hosts[group]
        if key not in self._carried:
            self._carried[key] = self.network.seconds(move_messages([(move, group)], self.sizes))
        return self._carried[key]


@dataclass
class _Began:
    """When a group came to its nodes of a round, by their positions, and when it ended them."""

    positions: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    ended: float = 0.0

    def at(self, position: int) -> float:
        """Its first node from a position on, or the end."""
        place = bisect_left(self.positions, position)
        return self.seconds[place] if place < len(self.seconds) else self.ended


@dataclass
class _Turns:
    """In which order a round's moves leave: as their values are made, one of each group a turn.

    In a turn every group sends at the same time, each to another one: no receiver is waited for by two.
    """

    groups: int
    known: dict[tuple[tuple[int, tuple[int, ...]], ...], list[tuple[int, int]]] = field(default_factory=dict)

    def of(
        self, one: Round, made_at: Mapping[str, int]
    ) -> Iterator[tuple[list[ValueMove], list[tuple[int, int]]]]:
        """Of each turn its moves, and the order of arrivals: (place among the moves, destination)."""
        moves = [move for exchange in one.exchanges for move in exchange.moves]
        moves.sort(key=lambda move: made_at[move.value])
        sent = [dict[str, int]() for _ in range(self.groups)]  # of each group its values, in order
        turns: list[list[ValueMove]] = []
        for move in moves:
            values = sent[move.source]
            number = values.setdefault(move.value, len(values))
            turns.extend([] for _ in range(len(turns), number + 1))
            turns[number].append(move)
        for turn in turns:
            yield turn, self._steps(turn)

    def _steps(self, turn: list[ValueMove]) -> list[tuple[int, int]]:
        """The same for all turns of the same ends, of which there are thousands."""
        ends = tuple((move.source, move.destinations) for move in turn)
        if ends not in self.known:
            steps = sorted(
                ((group - source) % self.groups, place, group)
                for place, (source, destinations) in enumerate(ends)
                for group in destinations
            )
            self.known[ends] = [(place, group) for _, place, group in steps]
        return self.known[ends]
