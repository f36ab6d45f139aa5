"""Seconds of a node: of its operations on each device that shares its limbs, and of the rows in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost import RESIDUE_BYTES, DeviceModel, Network, OperationCosts, row_messages
from aegis_fhe.placement.facts import GraphFacts, NodeFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form
from aegis_fhe.placement.plaintext_counts import chain_of
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.shape_program import ShapeProgram


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


class FormSeconds:
    """The same for the nodes of one program on one mesh, as whole values or as the team's."""

    def __init__(self, params: Parameters, period: int, layout: MeshLimbs, device: DeviceModel) -> None:
        placements: dict[Form, LimbPlacement] = {"whole": layout.limbs, "shared": layout.team}
        self._of = {form: ComputeSeconds(params, device, p, period) for form, p in placements.items()}

    def __call__(self, form: Form, facts: NodeFacts) -> float:
        """On each device of a node's group, or of the team."""
        return self._of[form](facts)

    @classmethod
    def of_program(cls, program: ShapeProgram, layout: MeshLimbs, device: DeviceModel) -> FormSeconds:
        """Of the nodes of a layer without weights."""
        return cls(program.bootstrap.params, program.plan.layout.sub_slots, layout, device)

    def of_plan(self, plan: Schedule, facts: GraphFacts) -> Callable[[Node], float]:
        """By node of a plan."""
        return lambda node: self(plan.assignment.form(node), facts.nodes[node.name])


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
