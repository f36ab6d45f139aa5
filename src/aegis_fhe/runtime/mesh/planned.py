"""A stored plan put on a layer with weights: what a device executes, and what is to be expected of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.placement.cost import Network
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.node_seconds import ExchangeSeconds, FormSeconds
from aegis_fhe.placement.plan_file import StoredMachine, StoredPlan
from aegis_fhe.placement.plan_records import from_record
from aegis_fhe.placement.plan_storing import places_of
from aegis_fhe.placement.prediction import Prediction, device_memories, predict
from aegis_fhe.placement.shape_memory import DeviceMemory
from aegis_fhe.placement.timeline import GroupSeconds, Timeline, on_all_groups, timelines
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.compile import LongProgram
from aegis_fhe.runtime.mesh.execute import MeshProgram


@dataclass(frozen=True)
class PlannedProgram:
    """layer: divided as the plan divides it; prediction: of this layer, derived anew from the places;
    machine: that the plan was made for.
    """

    layer: LongProgram
    mesh: MeshProgram
    prediction: Prediction
    tokens: int
    machine: StoredMachine

    @cached_property
    def timelines(self) -> list[Timeline]:
        """Of every group, on that machine."""
        return self.timelines_with(on_all_groups(self._computing), self.machine.network)

    def timelines_with(self, seconds_of: GroupSeconds, network: Network) -> list[Timeline]:
        """Of every group, where nodes take these seconds, over these links."""
        return timelines(
            self.prediction.plan,
            self.prediction.facts,
            seconds_of,
            network,
            self.mesh.limbs,
            self.layer.params.degree,
            moving="eager",
        )

    def node_seconds(self, group: int) -> dict[str, float]:
        """Of a group's nodes by name, predicted: computing, and the exchanges of limbs inside."""
        inside = ExchangeSeconds(self.machine.network, self.layer.params.degree)
        return {
            node.name: self._computing(node) + inside(self.prediction.facts.nodes[node.name])
            for node in self.prediction.plan.nodes_of(group)
        }

    @cached_property
    def _computing(self) -> Callable[[Node], float]:
        period, layout = self.layer.layout.sub_slots, self.mesh.layout
        costs = FormSeconds(self.layer.params, period, layout, self.machine.device)
        return costs.of_plan(self.prediction.plan, self.prediction.facts)

    @cached_property
    def memories(self) -> list[DeviceMemory]:
        """Of every rank, predicted."""
        return device_memories(
            self.layer.graph,
            self.layer.context(self.tokens),
            _inputs(self.layer),
            self.layer.params,
            self.prediction.plan,
            self.mesh.limbs,
        )

    @classmethod
    def of(cls, stored: StoredPlan, layer: LongProgram) -> PlannedProgram:
        """Raises CompatibilityError for another graph, ContainerError for what is no mesh."""
        mesh = from_record(Mesh, stored.mesh, "the plan's mesh")
        limbs = from_record(LimbPlacement, stored.limbs, "the plan's placement of limbs")
        found = predict(
            layer.graph,
            layer.context(stored.tokens),
            _inputs(layer),
            layer.params,
            places_of(stored, layer.graph, mesh),
            limbs,
        )
        program = MeshProgram(
            schedule=found.plan, limbs=limbs, facts=found.facts, results=layer.graph.results
        )
        return cls(layer, program, found, stored.tokens, stored.machine)


def _inputs(layer: LongProgram) -> dict[str, Symbol]:
    return dict.fromkeys(layer.input_names(), Symbol(layer.input_level, layer.params.scale))
