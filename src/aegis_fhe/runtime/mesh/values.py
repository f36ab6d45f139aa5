"""What a device has of values, whole or as one of the team, and the moves that turn one into the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Arrival, Exchange, Form, ValueMove
from aegis_fhe.ring.arena import Arena
from aegis_fhe.runtime.mesh.connect import MeshCommunicators
from aegis_fhe.runtime.transfers import Transfer

Evaluators: TypeAlias = Mapping[Form, Evaluator]


@dataclass
class Values:
    """here: by form and name, forgotten when `left` says that nothing on this device needs them any more."""

    layout: MeshLimbs
    symbols: Mapping[str, Symbol]
    evaluators: Evaluators
    communicators: MeshCommunicators
    here: dict[Form, dict[str, Ciphertext]] = field(default_factory=lambda: {"whole": {}, "shared": {}})
    left: dict[Form, Counter[str]] = field(default_factory=lambda: {"whole": Counter(), "shared": Counter()})

    def has(self, move: ValueMove) -> bool:
        """Whether this device could send it."""
        return move.value in self.here[move.needs]

    def put(self, name: str, form: Form, parts: Sequence[tuple[ValueMove, Tensor | None]]) -> None:
        """A value that arrived, with the rows of each move; none where nothing crosses."""
        self.here[form][name] = self._received(name, form, parts)

    def leave(self, exchange: Exchange) -> None:
        """Forgets what was needed for this exchange alone."""
        for move in exchange.moves:
            if move.source == self.group:
                self._used(move)

    @property
    def group(self) -> int:
        """This device's group."""
        return self.communicators.group

    def every(self) -> list[Ciphertext]:
        """All that is here."""
        return [x for own in self.here.values() for x in own.values()]

    @property
    def arena(self) -> Arena:
        """Of this device."""
        return self.evaluators["whole"].params.ring.arena

    def transfer(self, index: int, arrival: Arrival) -> Transfer | None:
        """Between the devices of this one's place in their groups; none where no limb is moved."""
        (move, destination), symbol = arrival, self.symbols[arrival[0].value]
        rows = len(self.layout.moved(move, destination, symbol.level, self.communicators.device))
        shape = symbol.components, rows, self.evaluators["whole"].params.degree
        if not rows:
            return None
        return Transfer(index=index, source=move.source, destination=destination, shape=shape)

    def sent(self, arrival: Arrival) -> Tensor:
        """This device's rows of what it sends, of the plan's level and scale."""
        move, destination = arrival
        name, symbol, value = move.value, self.symbols[move.value], self.here[move.needs][move.value]
        assert value.level == symbol.level, f"{name}: level {value.level}, the plan says {symbol.level}"
        assert value.scale == symbol.scale, f"{name}: scale {value.scale}, the plan says {symbol.scale}"
        if move.way != "scatter":
            return value.parts.contiguous()
        moved = self.layout.moved(move, destination, symbol.level, self.communicators.device)
        sent = self.arena.empty((symbol.components, len(moved), value.parts.shape[-1]))
        rows = torch.tensor(self._rows(moved, "whole", symbol.level), dtype=torch.int64, device=sent.device)
        return torch.index_select(value.parts, 1, rows, out=sent)

    def _received(
        self, name: str, form: Form, parts: Sequence[tuple[ValueMove, Tensor | None]]
    ) -> Ciphertext:
        """One part is the value; several are put together, each row in its place."""
        symbol, evaluator = self.symbols[name], self.evaluators[form]
        found = parts[0][1]
        if len(parts) > 1 or found is None:
            params, device = evaluator.params, self.communicators.device
            rows = len(self.layout.held(form, symbol.level, self.communicators.rank))
            # No row is left over: a gather has one move from every group.
            found = self.arena.empty((symbol.components, rows, params.degree))
            for move, part in parts:
                if part is not None:
                    moved = self.layout.moved(move, self.communicators.group, symbol.level, device)
                    found[:, self._rows(moved, form, symbol.level)] = part
        return evaluator.made(found, symbol.level, symbol.scale)

    def _rows(self, limbs: Sequence[int], form: Form, level: int) -> list[int]:
        """Where limbs lie in what this device has of a value."""
        places = {
            limb: row for row, limb in enumerate(self.layout.held(form, level, self.communicators.rank))
        }
        return [places[limb] for limb in limbs]

    def _used(self, move: ValueMove) -> None:
        left = self.left[move.needs]
        left[move.value] -= 1
        if left[move.value] == 0:
            self.here[move.needs].pop(move.value, None)
