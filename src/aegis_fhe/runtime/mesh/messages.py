"""Messages between devices: rows of what one node made, from one device to another."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from aegis_fhe.placement.moves import Arrival, Exchange, Form, ValueMove
from aegis_fhe.runtime import collectives
from aegis_fhe.runtime.mesh.values import Values
from aegis_fhe.runtime.transfers import ITEM_BYTES, Transfer


@dataclass(frozen=True)
class Numbered:
    """Arrival `index` of an exchange, itself a number. made_at: the position of the value's node."""

    made_at: int
    number: int
    exchange: Exchange
    index: int
    arrival: Arrival


@dataclass
class _Received:
    """A message whose blocks are waited for together, and taken once each."""

    under_way: collectives.Exchange
    blocks: dict[int, Tensor] | None = None

    def block(self, index: int) -> Tensor:
        """Waits for all of it."""
        if self.blocks is None:
            self.blocks = self.under_way.wait()
        return self.blocks.pop(index)


@dataclass
class _Part:
    """Of a value that arrives, block `index`. message: none where no row crosses; nbytes: of its rows."""

    move: ValueMove
    index: int
    nbytes: int
    message: _Received | None = None


@dataclass
class Messages:
    """Of one device. By exchange: sent, what may not have left yet; copied, bytes of copies made for it."""

    values: Values
    coming: dict[tuple[str, Form], list[_Part]] = field(default_factory=dict)
    sent: dict[int, list[collectives.Exchange]] = field(default_factory=lambda: defaultdict(list))
    copied: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def receive(self, own: Sequence[Numbered]) -> None:
        """Takes room for what one device sends of an exchange, and receives it from now on."""
        transfers, crossing = list[Transfer](), list[_Part]()
        for one in own:
            move, _ = one.arrival
            transfer = self.values.transfer(one.index, one.arrival)
            nbytes = 0 if transfer is None else math.prod(transfer.shape) * ITEM_BYTES
            part = _Part(move, one.index, nbytes)
            self.coming.setdefault((move.value, move.makes), []).append(part)
            if transfer is not None and transfer.bytes:
                transfers.append(transfer)
                crossing.append(part)
        if transfers:
            message = _Received(self._started(own[0].exchange, transfers, {}))
            for part in crossing:
                part.message = message

    def send(self, own: Sequence[Numbered]) -> None:
        """To one device, of one exchange."""
        first, transfers, blocks = own[0], list[Transfer](), dict[int, Tensor]()
        for one in own:
            transfer = self.values.transfer(one.index, one.arrival)
            if transfer is not None:
                transfers.append(transfer)
                blocks[transfer.index] = self.values.sent(one.arrival)
                if one.arrival[0].way == "scatter":
                    self.copied[first.number] += transfer.bytes
        if transfers:
            self.sent[first.number].append(self._started(first.exchange, transfers, blocks))

    def arrive(self, names: Iterable[str], form: Form) -> None:
        """Waits for values that are under way."""
        for name in names:
            parts = self.coming.pop((name, form), None)
            if parts is not None:
                self.values.put(name, form, [(part.move, self._block(part)) for part in parts])

    def leave(self, number: int) -> None:
        """Waits until all that was sent of an exchange has left."""
        for one in self.sent.pop(number, ()):
            one.wait()
        self.copied.pop(number, None)

    @property
    def nbytes(self) -> int:
        """Of the room for what has not arrived, and of rows copied for what leaves."""
        parts = (part for own in self.coming.values() for part in own)
        coming = sum(part.nbytes for part in parts if part.message is not None)
        return coming + sum(self.copied.values())

    def _started(
        self, exchange: Exchange, transfers: Sequence[Transfer], owned: Mapping[int, Tensor]
    ) -> collectives.Exchange:
        tokens = self.values.communicators.tokens
        return tokens.start_exchange(exchange.stage, owned, transfers, operation=exchange.kind)

    def _block(self, part: _Part) -> Tensor | None:
        """What comes from this device itself is read where it is."""
        if part.message is not None:
            return part.message.block(part.index)
        if part.move.source != self.values.group or not part.nbytes:
            return None
        self.arrive([part.move.value], part.move.needs)
        return self.values.sent((part.move, self.values.group))
