"""Every byte that a schedule moves, for every device, stage and kind of collective: exact, without data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from aegis_fhe.placement.cost import RESIDUE_BYTES, Message
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import ValueMove
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.program.graph import Node

# (axis, stage, kind of collective)
Key = tuple[str, str, str]
# Values between groups; limbs within one; limbs among all devices.
TOKEN_AXIS, LIMB_AXIS, TEAM_AXIS = "token", "limb", "team"


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
    """limbs: of one group. degree: N."""
    mesh, layout = plan.mesh, MeshLimbs(plan.mesh, limbs)
    received: list[dict[Key, int]] = [{} for _ in range(mesh.world_size)]

    def add(rank: int, key: Key, count: int) -> None:
        if count:
            received[rank][key] = received[rank].get(key, 0) + count

    for one in plan.rounds:
        for exchange in one.exchanges:
            key: Key = (TOKEN_AXIS, exchange.stage, exchange.kind)
            for move in exchange.moves:
                for device, count in enumerate(move_bytes(move, layout, facts, degree)):
                    add(mesh.rank(move.destination, device), key, count)
        for node in one.nodes:
            axis, teams = _sharing(plan, node)
            for operation, device, rows in _limb_rows(facts, node.name):
                for ranks in teams:
                    add(ranks[device], (axis, node.stage, operation), rows * degree * RESIDUE_BYTES)
    return Traffic(received=tuple(received))


def move_bytes(move: ValueMove, layout: MeshLimbs, facts: GraphFacts, degree: int) -> list[int]:
    """What each device of the destination receives from its like: its rows of all components."""
    if move.source == move.destination:
        return [0] * layout.mesh.limbs
    symbol = facts.symbols[move.value]
    rows = (len(layout.moved(move, symbol.level, device)) for device in range(layout.mesh.limbs))
    return [symbol.components * count * degree * RESIDUE_BYTES for count in rows]


def move_messages(
    moves: Iterable[ValueMove], layout: MeshLimbs, facts: GraphFacts, degree: int
) -> list[Message]:
    """Moves that leave together, one message for each pair of devices."""
    found: dict[tuple[int, int], list[int]] = {}
    for move in moves:
        for device, size in enumerate(move_bytes(move, layout, facts, degree)):
            if size:
                source, destination = (layout.mesh.rank(g, device) for g in (move.source, move.destination))
                found.setdefault((source, destination), []).append(size)
    return [
        Message(source=source, destination=destination, bytes=sum(sizes), messages=len(sizes))
        for (source, destination), sizes in found.items()
    ]


def _sharing(plan: Schedule, node: Node) -> tuple[str, list[list[int]]]:
    """The axis on which a node's limbs are exchanged, and the ranks of each that share them."""
    mesh = plan.mesh
    if plan.assignment.form(node) == "shared":
        return TEAM_AXIS, [list(range(mesh.world_size))]
    groups = mesh.groups()
    return LIMB_AXIS, [groups[group] for group in plan.assignment.groups(node)]


def _limb_rows(facts: GraphFacts, node: str) -> Iterator[tuple[str, int, int]]:
    """(kind, device, rows received) of a node's exchanges among those that share its limbs."""
    for collective in facts.nodes[node].collectives:
        for device, rows in enumerate(collective.received):
            yield collective.operation, device, rows
