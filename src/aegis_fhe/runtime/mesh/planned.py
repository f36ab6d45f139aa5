"""A stored plan put on a layer with weights: what a device executes, and what was to be expected of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.plan_file import StoredPlan
from aegis_fhe.placement.plan_records import from_record
from aegis_fhe.placement.plan_storing import places_of
from aegis_fhe.placement.prediction import Prediction, device_memories, predict
from aegis_fhe.placement.shape_memory import DeviceMemory
from aegis_fhe.program.long.compile import LongProgram
from aegis_fhe.runtime.mesh.execute import MeshProgram


@dataclass(frozen=True)
class PlannedProgram:
    """layer: divided as the plan divides it; prediction: of this layer, derived anew from the places."""

    layer: LongProgram
    mesh: MeshProgram
    prediction: Prediction
    tokens: int

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
        return cls(layer, program, found, stored.tokens)


def _inputs(layer: LongProgram) -> dict[str, Symbol]:
    return dict.fromkeys(layer.input_names(), Symbol(layer.input_level, layer.params.scale))
