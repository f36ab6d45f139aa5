"""Every byte that a schedule moves, for every device, stage and kind of collective: exact, without data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aegis_fhe.placement.cost.chain import RESIDUE_BYTES
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.schedule import Schedule, ValueMove

# (axis, stage, kind of collective)
Key = tuple[str, str, str]
TOKEN_AXIS, LIMB_AXIS = "token", "limb"


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """received: bytes that each rank receives from others."""

    received: tuple[Mapping[Key, int], ...]

    def total(self, rank: int) -> int:
        """Of one rank."""
        return sum(self.received[rank].values())

    @property
    def most(self) -> int:
        """Of the rank that receives most."""
        return max(self.total(rank) for rank in range(len(self.received)))


def predict_traffic(plan: Schedule, limbs: LimbPlacement, facts: GraphFacts, degree: int) -> Traffic:
    """degree: N."""
    received: list[dict[Key, int]] = [{} for _ in range(plan.mesh.world_size)]

    def add(rank: int, key: Key, count: int) -> None:
        if count:
            received[rank][key] = received[rank].get(key, 0) + count

    for one in plan.rounds:
        for exchange in one.exchanges:
            key: Key = (TOKEN_AXIS, exchange.stage, exchange.kind)
            for move in exchange.moves:
                for device, count in enumerate(move_bytes(move, limbs, facts, degree)):
                    add(plan.mesh.rank(move.destination, device), key, count)
        for node in one.nodes:
            groups = plan.assignment.where[node.name]
            for operation, device, rows in _limb_rows(facts, node.name):
                for group in groups:
                    key = (LIMB_AXIS, node.stage, operation)
                    add(plan.mesh.rank(group, device), key, rows * degree * RESIDUE_BYTES)
    return Traffic(received=tuple(received))


def move_bytes(move: ValueMove, limbs: LimbPlacement, facts: GraphFacts, degree: int) -> list[int]:
    """What each device of the destination receives from its like: its rows of all components."""
    symbol = facts.symbols[move.value]
    rows = (len(limbs.q_limbs(symbol.level, device)) for device in range(limbs.world_size))
    return [symbol.components * count * degree * RESIDUE_BYTES for count in rows]


def _limb_rows(facts: GraphFacts, node: str) -> Iterator[tuple[str, int, int]]:
    """(kind, device, rows received) of a node's exchanges within its group."""
    for collective in facts.nodes[node].collectives:
        for device, rows in enumerate(collective.received):
            yield collective.operation, device, rows
