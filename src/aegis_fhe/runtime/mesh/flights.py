"""Moves under way: what leaves as soon as it is made, what arrives while a device computes.

Of values that nodes of round r need, a device takes room for one, and says that it is ready to receive it,
when it comes to where the value is made, in the order of all nodes, or when it begins round r - 1, whichever
is later. What it sends leaves as soon as it is made, in that order too. Before a device ends round r, all
that it sends for it has left.

Nobody waits for ever. Say that all devices have ended round r - 1. Then all have said that they are ready for
what round r needs, which was made before and has left: it does arrive, every device can compute its nodes of
r, and all that it sends for them, which it waits for at the end, is received.

Before a cut nothing of the next round is announced, and what this one needs is waited for, also where no node
has asked for it yet: then nothing is under way. The next round announces its own exchanges when it begins.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.placement.moves import Exchange
from aegis_fhe.placement.schedule import Round, Schedule
from aegis_fhe.program.graph import Node
from aegis_fhe.runtime.mesh.held import stored_bytes
from aegis_fhe.runtime.mesh.messages import Messages, Numbered
from aegis_fhe.runtime.mesh.values import Values


@dataclass(frozen=True)
class Ready:
    """A node whose inputs are here. values: all that are here, which live as long as this does; room: bytes
    for what is under way.
    """

    node: Node
    values: Sequence[Ciphertext]
    room: int

    @property
    def alive_bytes(self) -> int:
        """Of all values here and under way; counted when asked for, a millisecond for a thousand values."""
        return stored_bytes(self.values) + self.room

    @property
    def stage(self) -> str:
        """Of the node."""
        return self.node.stage


@dataclass(frozen=True)
class Cut:
    """Nothing is under way, on any device that has come here. rounds: how many are done."""

    rounds: int
    stage: str = "checkpoint"


@dataclass
class Flights:
    """Of one device. cuts: numbers of rounds before which there is a cut; first: the round to begin with, all
    before it being done. announced, ended: how many exchanges, in the order of the schedule.
    """

    values: Values
    plan: Schedule
    cuts: Collection[int] = ()
    first: int = 0
    announced: int = 0
    ended: int = 0
    expected: deque[Numbered] = field(default_factory=deque)
    leaving: dict[int, deque[Numbered]] = field(default_factory=lambda: defaultdict(deque))

    def __post_init__(self) -> None:
        self.messages = Messages(self.values)
        self.announced = self.ended = sum(len(one.exchanges) for one in self.plan.rounds[: self.first])

    def steps(self) -> Iterator[Ready | Exchange | Cut]:
        """This device's nodes, each as soon as its inputs are here, for someone who computes it before the
        next step; exchanges as they end; and cuts.
        """
        rounds = [*self.plan.rounds, Round(exchanges=(), nodes=())]
        for number in range(self.first, len(self.plan.rounds)):
            one, is_cut = rounds[number], number + 1 in self.cuts
            if number == self.first or number in self.cuts:
                self._announce(one.exchanges)
            if not is_cut:
                self._announce(rounds[number + 1].exchanges)
            for node in one.nodes:
                if self.values.group in self.plan.assignment.groups(node):
                    self._expect(self.plan.position[node.name])
                    self.messages.arrive(node.inputs, self.plan.assignment.form(node))
                    yield Ready(node, self.values.every(), self.messages.nbytes)
                    self._depart()
            self._expect()
            if is_cut:
                self.messages.arrive_all()
            for exchange in one.exchanges:
                self._end(exchange)
                yield exchange
            if is_cut:
                yield Cut(number + 1)

    def _announce(self, exchanges: Sequence[Exchange]) -> None:
        """Those that the next round needs: queues what leaves and what comes."""
        every = [
            Numbered(self.plan.made_at[move.value], number, exchange, index, (move, destination))
            for number, exchange in enumerate(exchanges, self.announced)
            for index, (move, destination) in enumerate(exchange.arrivals)
        ]
        self.announced += len(exchanges)
        for one in sorted(every, key=lambda one: one.made_at):
            move, destination = one.arrival
            if destination == self.values.group:
                self.expected.append(one)
            elif move.source == self.values.group:
                self.leaving[destination].append(one)
        self._depart()

    def _expect(self, position: float = math.inf) -> None:
        """Receives from now on what is made by the nodes up to a position, a node's values in one message."""
        found: dict[tuple[int, int, int], list[Numbered]] = {}
        while self.expected and self.expected[0].made_at <= position:
            one = self.expected.popleft()
            found.setdefault((one.made_at, one.number, one.arrival[0].source), []).append(one)
        for own in found.values():
            self.messages.receive(own)

    def _depart(self) -> None:
        """Sends what is there, to each device in order, an exchange's in one message."""
        for queue in self.leaving.values():
            while queue and self.values.has(queue[0].arrival[0]):
                own = [queue.popleft()]
                while queue and self._follows(own[0], queue[0]):
                    own.append(queue.popleft())
                self.messages.send(own)

    def _follows(self, first: Numbered, other: Numbered) -> bool:
        """Whether it leaves with the first: of the same exchange, and there."""
        return other.number == first.number and self.values.has(other.arrival[0])

    def _end(self, exchange: Exchange) -> None:
        """Waits until all that this exchange sends has left, and forgets what was needed for it alone."""
        self.messages.leave(self.ended)
        self.ended += 1
        self.values.leave(exchange)
