"""Moves under way: what leaves as soon as it is made, what arrives while a device computes.

An exchange has two rounds of its schedule for it, the one before the nodes that need it and theirs: when a
device begins the first, it takes room for what will arrive and says that it is ready; what it sends leaves as
soon as it is made, or if it is made earlier, then; before it ends the second, all that it sent is gone. So at
most two rounds of exchanges are in flight.

Nobody waits for ever. Say that all devices have ended round r - 1. Then all have begun round r, and said that
they are ready for the exchanges of r and r + 1. Those of r are of values that were made before, so they have
left and do arrive: every device can compute its nodes of r, whose sends are all that it waits for at the end.
Between two devices moves leave and are waited for in one order, the schedule's.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from aegis_fhe.placement.moves import Arrival, Exchange, Form, ValueMove
from aegis_fhe.runtime import collectives
from aegis_fhe.runtime.mesh.values import Values
from aegis_fhe.runtime.transfers import ITEM_BYTES


@dataclass(frozen=True)
class _Departure:
    """One arrival seen from its source. exchange: the one that it belongs to, by number."""

    exchange: int
    stage: str
    kind: str
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
    """Of one device. Exchanges are announced in the order of the schedule."""

    values: Values
    announced: int = 0
    ended: int = 0
    leaving: dict[int, deque[_Departure]] = field(default_factory=lambda: defaultdict(deque))
    coming: dict[tuple[str, Form], list[_Part]] = field(default_factory=dict)
    sent: dict[int, list[collectives.Exchange]] = field(default_factory=lambda: defaultdict(list))
    copied: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    exchanges: list[Exchange] = field(default_factory=list)

    def announce(self, exchange: Exchange) -> None:
        """Takes room for what arrives, and receives it from now on; queues what leaves."""
        number, group = len(self.exchanges), self.values.group
        self.exchanges.append(exchange)
        for index, (move, destination) in enumerate(exchange.arrivals):
            arrival = move, destination
            if destination == group:
                part = self._part(exchange, index, arrival)
                self.coming.setdefault((move.value, move.makes), []).append(part)
            elif move.source == group:
                departure = _Departure(number, exchange.stage, exchange.kind, index, arrival)
                self.leaving[destination].append(departure)
        self.depart()

    def depart(self) -> None:
        """Sends what is there, to each device in order."""
        for queue in self.leaving.values():
            while queue and self.values.has(queue[0].arrival[0]):
                self._send(queue.popleft())

    def arrive(self, names: Iterable[str], form: Form) -> None:
        """Waits for values that are under way."""
        for name in names:
            parts = self.coming.pop((name, form), None)
            if parts is not None:
                self.values.put(name, form, [(part.move, self._waited(part)) for part in parts])

    def end(self, exchange: Exchange) -> None:
        """Waits until all that this exchange sends has left, and forgets what was needed for it alone."""
        assert exchange is self.exchanges[self.ended], "exchanges end in the order in which they began"
        for one in self.sent.pop(self.ended, ()):
            one.wait()
        self.copied.pop(self.ended, None)
        self.ended += 1
        self.values.leave(exchange)

    @property
    def nbytes(self) -> int:
        """Of the room for what has not arrived, and of rows copied for what leaves."""
        parts = (part for own in self.coming.values() for part in own)
        coming = sum(part.nbytes for part in parts if part.under_way is not None)
        return coming + sum(self.copied.values())

    def _part(self, exchange: Exchange, index: int, arrival: Arrival) -> _Part:
        transfer = self.values.transfer(index, arrival)
        under_way, nbytes = None, 0
        if transfer is not None:
            nbytes = math.prod(transfer.shape) * ITEM_BYTES
            if transfer.bytes:
                under_way = self.values.communicators.tokens.start_exchange(
                    exchange.stage, {}, [transfer], operation=exchange.kind
                )
        return _Part(arrival[0], under_way, nbytes)

    def _send(self, departure: _Departure) -> None:
        transfer = self.values.transfer(departure.index, departure.arrival)
        if transfer is not None:
            block = {transfer.index: self.values.sent(departure.arrival)}
            one = self.values.communicators.tokens.start_exchange(
                departure.stage, block, [transfer], operation=departure.kind
            )
            self.sent[departure.exchange].append(one)
            if departure.arrival[0].way == "scatter":
                self.copied[departure.exchange] += transfer.bytes

    def _waited(self, part: _Part) -> Tensor | None:
        """What comes from this device itself is read where it is."""
        if part.under_way is not None:
            (block,) = part.under_way.wait().values()
            return block
        if part.move.source != self.values.group or not part.nbytes:
            return None
        self.arrive([part.move.value], part.move.needs)
        return self.values.sent((part.move, self.values.group))
