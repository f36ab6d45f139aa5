"""Every byte that a schedule moves, for every device, stage and kind of collective: exact, without data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.limb_traffic import LimbTraffic
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.plan import RESIDUE_BYTES
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.operators import Context, Input

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


def predict_traffic(
    plan: Schedule, limbs: LimbPlacement, params: Parameters, context: Context, inputs: Mapping[str, Symbol]
) -> Traffic:
    """inputs: of each input ciphertext. Raises what the program's operators raise on symbols."""
    backend = LimbTraffic(params, limbs)
    values: dict[str, Symbol] = dict(inputs)
    received: list[dict[Key, int]] = [{} for _ in range(plan.mesh.world_size)]
    ranks = range(plan.mesh.limbs)

    def add(group: int, device: int, key: Key, rows: int) -> None:
        if rows:
            own = received[plan.mesh.rank(group, device)]
            own[key] = own.get(key, 0) + rows * params.degree * RESIDUE_BYTES

    key: Key
    for one in plan.rounds:
        for exchange in one.exchanges:
            key = (TOKEN_AXIS, exchange.stage, exchange.kind)
            for move in exchange.moves:
                symbol = values[move.value]
                for device in ranks:
                    rows = symbol.components * len(limbs.q_limbs(symbol.level, device))
                    add(move.destination, device, key, rows)
        for node in one.nodes:
            if isinstance(node.operator, Input):
                continue
            backend.collectives.clear()
            run_node(node, backend, values, context)
            for collective in backend.collectives:
                key = (LIMB_AXIS, node.stage, collective.operation)
                for group in plan.assignment.where[node.name]:
                    for device in ranks:
                        add(group, device, key, collective.received[device])
    return Traffic(received=tuple(received))
