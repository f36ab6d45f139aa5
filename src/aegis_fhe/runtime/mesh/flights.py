"""Moves under way: what leaves as soon as it is made, what arrives while a device computes.

Of values that nodes of round r need, a device takes room for one, and says that it is ready to receive it,
when it comes to where the value is made, in the order of all nodes, or when it begins round r - 1, whichever
is later. What it sends leaves as soon as it is made, in that order too. Before a device ends round r, all
that it sends for it has left.

Nobody waits for ever. Say that all devices have ended round r - 1. Then all have said that they are ready for
what round r needs, which was made before and has left: it does arrive, every device can compute its nodes of
r, and all that it sends for them, which it waits for at the end, is received.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from torch import Tensor

from aegis_fhe.placement.moves import Arrival, Exchange, Form, ValueMove
from aegis_fhe.placement.schedule import Round, Schedule
from aegis_fhe.program.graph import Node
from aegis_fhe.runtime import collectives
from aegis_fhe.runtime.mesh.values import Values
from aegis_fhe.runtime.transfers import ITEM_BYTES, Transfer


@dataclass(frozen=True)
class Ready:
    """A node whose inputs are here. alive_bytes: of all values here and under way."""

    node: Node
    alive_bytes: int

    @property
    def stage(self) -> str:
        """Of the node."""
        return self.node.stage


@dataclass(frozen=True)
class _Arrival:
    """Number `index` of an exchange, itself a number. made_at: the position of the value's node."""

    made_at: int
    exchange: int
    index: int
    arrival: Arrival


@dataclass
class _Part:
    """Of a value that arrives. under_way: none where no row crosses; nbytes: of its rows."""

    move: ValueMove
    under_way: collectives.Exchange | None
    nbytes: int


@dataclass
class Flights:
    """Of one device. What is counted by number are exchanges, in the order of the schedule."""

    values: Values
    plan: Schedule
    ended: int = 0
    expected: deque[_Arrival] = field(default_factory=deque)
    leaving: dict[int, deque[_Arrival]] = field(default_factory=lambda: defaultdict(deque))
    coming: dict[tuple[str, Form], list[_Part]] = field(default_factory=dict)
    sent: dict[int, list[collectives.Exchange]] = field(default_factory=lambda: defaultdict(list))
    copied: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    exchanges: list[Exchange] = field(default_factory=list)

    def steps(self) -> Iterator[Ready | Exchange]:
        """This device's nodes, each as soon as its inputs are here, for someone who computes it before the
        next step; and exchanges as they end.
        """
        for one, following in pairwise([*self.plan.rounds, Round(exchanges=(), nodes=())]):
            self._announce(following.exchanges)
            for node in one.nodes:
                if self.values.group in self.plan.assignment.groups(node):
                    self._expect(self.plan.position[node.name])
                    self._arrive(node.inputs, self.plan.assignment.form(node))
                    yield Ready(node, self.values.nbytes + self._nbytes)
                    self._depart()
            self._expect()
            for exchange in one.exchanges:
                self._end(exchange)
                yield exchange

    def _announce(self, exchanges: Sequence[Exchange]) -> None:
        """Those that the next round needs: queues what leaves and what comes."""
        first, group = len(self.exchanges), self.values.group
        self.exchanges += exchanges
        every = [
            _Arrival(self.plan.made_at[move.value], number, index, (move, destination))
            for number, exchange in enumerate(exchanges, first)
            for index, (move, destination) in enumerate(exchange.arrivals)
        ]
        for one in sorted(every, key=lambda one: one.made_at):
            move, destination = one.arrival
            if destination == group:
                self.expected.append(one)
            elif move.source == group:
                self.leaving[destination].append(one)
        self._depart()

    def _expect(self, position: float = math.inf) -> None:
        """Takes room for what is made by the nodes up to a position, and receives it from now on."""
        while self.expected and self.expected[0].made_at <= position:
            one = self.expected.popleft()
            move, _ = one.arrival
            self.coming.setdefault((move.value, move.makes), []).append(self._part(one))

    def _depart(self) -> None:
        """Sends what is there, to each device in order."""
        for queue in self.leaving.values():
            while queue and self.values.has(queue[0].arrival[0]):
                self._send(queue.popleft())

    def _arrive(self, names: Iterable[str], form: Form) -> None:
        """Waits for values that are under way."""
        for name in names:
            parts = self.coming.pop((name, form), None)
            if parts is not None:
                self.values.put(name, form, [(part.move, self._waited(part)) for part in parts])

    def _end(self, exchange: Exchange) -> None:
        """Waits until all that this exchange sends has left, and forgets what was needed for it alone."""
        assert exchange is self.exchanges[self.ended], "exchanges end in the order in which they began"
        for one in self.sent.pop(self.ended, ()):
            one.wait()
        self.copied.pop(self.ended, None)
        self.ended += 1
        self.values.leave(exchange)

    @property
    def _nbytes(self) -> int:
        """Of the room for what has not arrived, and of rows copied for what leaves."""
        parts = (part for own in self.coming.values() for part in own)
        coming = sum(part.nbytes for part in parts if part.under_way is not None)
        return coming + sum(self.copied.values())

    def _part(self, one: _Arrival) -> _Part:
        transfer = self.values.transfer(one.index, one.arrival)
        under_way, nbytes = None, 0
        if transfer is not None:
            nbytes = math.prod(transfer.shape) * ITEM_BYTES
            if transfer.bytes:
                under_way = self._started(one, transfer, {})
        return _Part(one.arrival[0], under_way, nbytes)

    def _send(self, one: _Arrival) -> None:
        transfer = self.values.transfer(one.index, one.arrival)
        if transfer is not None:
            block = {transfer.index: self.values.sent(one.arrival)}
            self.sent[one.exchange].append(self._started(one, transfer, block))
            if one.arrival[0].way == "scatter":
                self.copied[one.exchange] += transfer.bytes

    def _started(
        self, one: _Arrival, transfer: Transfer, owned: Mapping[int, Tensor]
    ) -> collectives.Exchange:
        exchange, tokens = self.exchanges[one.exchange], self.values.communicators.tokens
        return tokens.start_exchange(exchange.stage, owned, [transfer], operation=exchange.kind)

    def _waited(self, part: _Part) -> Tensor | None:
        """What comes from this device itself is read where it is."""
        if part.under_way is not None:
            (block,) = part.under_way.wait().values()
            return block
        if part.move.source != self.values.group or not part.nbytes:
            return None
        self._arrive([part.move.value], part.move.needs)
        return self.values.sent((part.move, self.values.group))
