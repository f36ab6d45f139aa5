"""Messages between devices: rows of what one node made, from one device to another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from aegis_fhe.placement.moves import Arrival, Exchange, Form, ValueMove
from aegis_fhe.runtime import collectives
from aegis_fhe.runtime.mesh.values import Values
from aegis_fhe.runtime.out_of_memory import memory_for
from aegis_fhe.runtime.transfers import Transfer


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
    """Of a value that arrives. transfer: none where it has no row here; message: none where none crosses."""

    move: ValueMove
    transfer: Transfer | None
    message: _Received | None = None

    @property
    def nbytes(self) -> int:
        """Of what crosses."""
        return 0 if self.transfer is None else self.transfer.bytes


@dataclass
class Messages:
    """Of one device. By exchange: sent, what may not have left yet; copied, bytes of copies made for it."""

    values: Values
    coming: dict[tuple[str, Form], list[_Part]] = field(default_factory=dict)
    sent: dict[int, list[collectives.Exchange]] = field(default_factory=lambda: defaultdict(list))
    copied: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def receive(self, own: Sequence[Numbered]) -> None:
        """Takes room for what one device sends of an exchange, and receives it from now on."""
        parts = [_Part(one.arrival[0], self.values.transfer(one.index, one.arrival)) for one in own]
        for part in parts:
            self.coming.setdefault((part.move.value, part.move.makes), []).append(part)
        crossing = [part for part in parts if part.nbytes]
        transfers = [part.transfer for part in crossing if part.transfer is not None]
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

    def arrive_all(self) -> None:
        """Waits for everything that is under way."""
        for name, form in list(self.coming):
            self.arrive([name], form)

    def leave(self, number: int) -> None:
        """Waits until all that was sent of an exchange has left."""
        for one in self.sent.pop(number, ()):
            one.wait()
        self.copied.pop(number, None)

    @property
    def nbytes(self) -> int:
        """Of the room for what has not arrived, and of rows copied for what leaves."""
        coming = sum(part.nbytes for own in self.coming.values() for part in own)
        return coming + sum(self.copied.values())

    def _started(
        self, exchange: Exchange, transfers: Sequence[Transfer], owned: Mapping[int, Tensor]
    ) -> collectives.Exchange:
        tokens = self.values.communicators.tokens
        with memory_for(exchange.stage):
            return tokens.start_exchange(exchange.stage, owned, transfers, operation=exchange.kind)

    def _block(self, part: _Part) -> Tensor | None:
        """What comes from this device itself is read where it is."""
        if part.transfer is None:
            return None
        if part.message is not None:
            return part.message.block(part.transfer.index)
        self.arrive([part.move.value], part.move.needs)
        return self.values.sent((part.move, self.values.group))
