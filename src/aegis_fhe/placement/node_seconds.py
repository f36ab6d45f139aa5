"""Seconds of a node: of its operations on each device that shares its limbs, and of the rows in between."""

from __future__ import annotations

from collections import Counter

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost import RESIDUE_BYTES, DeviceModel, Network, OperationCosts, row_messages
from aegis_fhe.placement.facts import NodeFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.plaintext_counts import chain_of


class ComputeSeconds:
    """Of a node's operations, each until the slowest device is done; messages are left out.

    period: different slots of plaintexts, which are encoded in advance.
    """

    def __init__(self, params: Parameters, device: DeviceModel, limbs: LimbPlacement, period: int) -> None:
        self.costs = OperationCosts(chain_of(params), device, limbs, period=period, encoded=True)
        self._known: dict[int, tuple[NodeFacts, float]] = {}

    def __call__(self, facts: NodeFacts) -> float:
        """Nodes that do the same share their counts, and are priced once."""
        key = id(facts.counts)
        if key not in self._known:
            self._known[key] = facts, self.costs.total_seconds(facts.counts.by_level)
        return self._known[key][1]


class ExchangeSeconds:
    """Of the exchanges of limbs within a node, one after the other, each as `runtime.limbs` sends it.

    Device d of those that share the limbs is device d of the network: hosts are as for the first group.
    """

    def __init__(self, network: Network, degree: int) -> None:
        self.network, self.row_bytes = network, degree * RESIDUE_BYTES
        self._known: dict[int, tuple[NodeFacts, float]] = {}

    def __call__(self, facts: NodeFacts) -> float:
        """As `ComputeSeconds`."""
        key = id(facts.counts)
        if key not in self._known:
            self._known[key] = facts, self._total(facts)
        return self._known[key][1]

    def _total(self, facts: NodeFacts) -> float:
        times = Counter((id(one.moves), one.components) for one in facts.collectives)
        different = {(id(one.moves), one.components): one for one in facts.collectives}
        return sum(
            count * self.network.seconds(row_messages(different[key].moves, key[1], self.row_bytes))
            for key, count in times.items()
        )
