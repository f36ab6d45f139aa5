"""Rows of residues between the devices that share the limbs of a ciphertext."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch

from aegis_fhe.placement.limbs import Rows
from aegis_fhe.ring.arena import Arena
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.transfers import Transfer

# One row [component, N] of each limb, or what every device sent of it.
LimbRows: TypeAlias = dict[int, torch.Tensor]


class RowExchange:
    """Moves rows as a placement says; `node` names the ledger's entries."""

    def __init__(self, communicator: Communicator, degree: int, arena: Arena) -> None:
        self.communicator, self.degree, self.arena = communicator, degree, arena
        self.node = ""

    def deliver(
        self, operation: str, moves: Sequence[Rows], own: Mapping[int, torch.Tensor], components: int
    ) -> dict[int, LimbRows]:
        """own: rows [components, N] that this device sends. Received: by source, by limb.

        One block for each pair of devices: the rows of its limbs, in the order of the move.
        """
        rank = self.communicator.rank
        transfers = [
            Transfer(
                index=index,
                source=move.source,
                destination=move.destination,
                shape=(len(move.limbs), components, self.degree),
            )
            for index, move in enumerate(moves)
        ]
        sent = {
            index: self.arena.stack([own[limb] for limb in move.limbs])
            for index, move in enumerate(moves)
            if move.source == rank
        }
        if not transfers:
            return {}
        exchange = self.communicator.start_exchange(self.node, sent, transfers, operation=operation)
        received: dict[int, LimbRows] = {}
        for index, block in exchange.wait().items():
            move = moves[index]
            received.setdefault(move.source, {}).update(zip(move.limbs, block, strict=True))
        return received

    def gather(
        self, operation: str, moves: Sequence[Rows], own: Mapping[int, torch.Tensor], components: int
    ) -> LimbRows:
        """Own rows and those received, by limb."""
        rows = dict(own)
        for found in self.deliver(operation, moves, own, components).values():
            rows.update(found)
        return rows
