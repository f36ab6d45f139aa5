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

from aegis_fhe.placement.cost import RESIDUE_BYTES, Message, Network
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.schedule import Exchange, Round, Schedule, ValueMove
from aegis_fhe.placement.traffic import move_bytes
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
    """seconds_of: a node's computing on each device of a group. Exchanges of limbs inside a node wait."""
    clock = _Clock(plan, facts, seconds_of, network, limbs, degree)
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
    limbs: LimbPlacement
    degree: int
    made: dict[tuple[str, int], float] = field(default_factory=dict)
    inner: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
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
            end = start + self.network.seconds(self._messages(exchange))
            for g in groups:
                self._wait(g, exchange.stage, end)
            for move in exchange.moves:
                self.made[move.value, move.destination] = end
        self._compute(one)

    def eager(self, one: Round) -> None:
        """Values one after the other over the links of their ends, from the moment they exist."""
        for exchange in one.exchanges:
            for move in _in_turn(exchange, self.plan.mesh.tokens):
                out, into = self.free[move.source], self.free[move.destination]
                ready = self.made[move.value, move.source]
                start = max(ready, out[0], into[1])
                sizes = move_bytes(move, self.limbs, self.facts, self.degree)
                end = start + self.network.seconds(self._between(move.source, move.destination, sizes))
                out[0] = into[1] = end
                self.made[move.value, move.destination] = end
        self._compute(one)

    def _compute(self, one: Round) -> None:
        for node in one.nodes:
            inner = self._inner_seconds(node)
            for group in self.plan.assignment.where[node.name]:
                ready = max((self.made.get((value, group), 0.0) for value in node.inputs), default=0.0)
                self._wait(group, node.stage, ready)
                spent = self.seconds_of(node)
                self.now[group] += spent
                self.busy[group][node.stage] += spent
                self._wait(group, node.stage, self.now[group] + inner)
                for value in node.outputs:
                    self.made[value, group] = self.now[group]

    def _wait(self, group: int, stage: str, until: float) -> None:
        if until > self.now[group]:
            self.exposed[group][stage] += until - self.now[group]
            self.now[group] = until

    def _messages(self, exchange: Exchange) -> list[Message]:
        found: dict[tuple[int, int], list[int]] = {}
        for move in exchange.moves:
            sizes = move_bytes(move, self.limbs, self.facts, self.degree)
            for device, size in enumerate(sizes):
                ends = (
                    self.plan.mesh.rank(move.source, device),
                    self.plan.mesh.rank(move.destination, device),
                )
                if size:
                    found.setdefault(ends, []).append(size)
        return [
            Message(source=s, destination=d, bytes=sum(sizes), messages=len(sizes))
            for (s, d), sizes in found.items()
        ]

    def _between(self, source: int, destination: int, sizes: list[int]) -> list[Message]:
        mesh = self.plan.mesh
        return [
            Message(source=mesh.rank(source, m), destination=mesh.rank(destination, m), bytes=size)
            for m, size in enumerate(sizes)
            if size
        ]

    def _inner_seconds(self, node: Node) -> float:
        """Of a node's exchanges of limbs: every device receives its rows evenly from the others."""
        if node.name not in self.inner:
            total = 0.0
            for collective in self.facts.nodes[node.name].collectives:
                total += self.network.seconds(self._rows(collective.received))
            self.inner[node.name] = total
        return self.inner[node.name]

    def _rows(self, received: tuple[int, ...]) -> list[Message]:
        devices = range(len(received))
        others = len(received) - 1
        return [
            Message(source=s, destination=d, bytes=received[d] * self.degree * RESIDUE_BYTES // others)
            for d in devices
            for s in devices
            if s != d and received[d]
        ]


def _in_turn(exchange: Exchange, groups: int) -> list[ValueMove]:
    """Every group sends at the same time, each to another one: no receiver is waited for by two."""
    sent = [dict[str, int]() for _ in range(groups)]  # of each group its values, in order
    order: list[tuple[int, int, ValueMove]] = []
    for move in exchange.moves:
        values = sent[move.source]
        number = values.setdefault(move.value, len(values))
        order.append((number, (move.destination - move.source) % groups, move))
    return [move for _, _, move in sorted(order, key=lambda entry: entry[:2])]
