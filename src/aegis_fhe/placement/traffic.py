"""Every byte that a schedule moves, for every device, stage and kind of collective: exact, without data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.placement.cost import RESIDUE_BYTES, Message
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Arrival, Exchange, ValueMove, Way
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
    mesh, sizes = plan.mesh, MoveBytes(MeshLimbs(plan.mesh, limbs), facts, degree)
    received: list[dict[Key, int]] = [{} for _ in range(mesh.world_size)]

    def add(rank: int, key: Key, count: int) -> None:
        if count:
            received[rank][key] = received[rank].get(key, 0) + count

    for one in plan.rounds:
        for exchange in one.exchanges:
            key: Key = (TOKEN_AXIS, exchange.stage, exchange.kind)
            for move, times in _alike(exchange, facts):
                for group in move.destinations:
                    for device, count in enumerate(sizes(move, group)):
                        add(mesh.rank(group, device), key, times * count)
        for node in one.nodes:
            exchanged = facts.nodes[node.name].rows_received
            axis, teams = _sharing(plan, node) if exchanged else ("", [])
            for (operation, device), rows in exchanged.items():
                for ranks in teams:
                    add(ranks[device], (axis, node.stage, operation), rows * degree * RESIDUE_BYTES)
    return Traffic(received=tuple(received))


def _alike(exchange: Exchange, facts: GraphFacts) -> Iterator[tuple[ValueMove, int]]:
    """Of moves of the same rows between the same groups, thousands in an exchange, one and their number."""
    found: dict[tuple[object, ...], tuple[ValueMove, int]] = {}
    for move in exchange.moves:
        symbol = facts.symbols[move.value]
        key = symbol.level, symbol.components, move.way, move.source, move.destinations
        found[key] = move, found.get(key, (move, 0))[1] + 1
    return iter(found.values())


@dataclass(frozen=True)
class MoveBytes:
    """What each device of one destination of a move receives from its like: its rows of all components."""

    layout: MeshLimbs
    facts: GraphFacts
    degree: int

    def __call__(self, move: ValueMove, group: int) -> tuple[int, ...]:
        """By device of the group. Thousands of moves are alike: each kind is looked at once."""
        if move.source == group:
            return self._nothing
        symbol, end = self.facts.symbols[move.value], self.layout.end(move, group)
        key = symbol.level, symbol.components, move.way, end
        if key not in self._known:
            self._known[key] = self._of(move, group, symbol)
        return self._known[key]

    def _of(self, move: ValueMove, group: int, symbol: Symbol) -> tuple[int, ...]:
        devices = range(self.layout.mesh.limbs)
        rows = (len(self.layout.moved(move, group, symbol.level, device)) for device in devices)
        return tuple(symbol.components * count * self.degree * RESIDUE_BYTES for count in rows)

    @cached_property
    def _nothing(self) -> tuple[int, ...]:
        return (0,) * self.layout.mesh.limbs

    @cached_property
    def _known(self) -> dict[tuple[int, int, Way, int], tuple[int, ...]]:
        return {}


def move_messages(moves: Iterable[Arrival], sizes: MoveBytes) -> list[Message]:
    """Moves that leave together: one message for each pair of devices."""
    found: dict[tuple[int, int], list[int]] = {}
    rank = sizes.layout.mesh.rank
    for move, group in moves:
        for device, size in enumerate(sizes(move, group)):
            if size:
                found.setdefault((rank(move.source, device), rank(group, device)), []).append(size)
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
