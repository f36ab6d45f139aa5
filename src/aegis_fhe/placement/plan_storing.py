"""From a rendering to what a file holds of it, and back: the same places, the same division."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict

import msgspec

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.evaluate import Evaluation
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.plan_check import stored_traffic
from aegis_fhe.placement.plan_file import (
    CURE,
    VERSION,
    StoredDivision,
    StoredMachine,
    StoredPlace,
    StoredPlan,
)
from aegis_fhe.placement.plan_records import from_record, to_record
from aegis_fhe.placement.plan_runs import from_runs, to_runs
from aegis_fhe.placement.planned_layer import PlannedLayer, stored_parameters
from aegis_fhe.placement.schedule import TEAM, Assignment, Place
from aegis_fhe.placement.strategies import Rendering
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.long.divide import Division, NodeDivisions
from aegis_fhe.program.long.shape_program import Packing
from aegis_fhe.program.operators import Input


def stored_plan(layer: PlannedLayer, found: Evaluation) -> StoredPlan:
    """All that `rendering_of` needs, and what was predicted."""
    rendering = found.rendering
    return StoredPlan(
        version=VERSION,
        model=layer.model,
        shape=to_record(layer.shape),
        degrees=to_record(layer.degrees),
        tokens=layer.tokens,
        devices=rendering.mesh.world_size,  # "single" runs on one, whatever it is compared with
        parameters=stored_parameters(layer.bootstrap),
        machine=StoredMachine(device=found.machine.device, network=found.machine.network),
        strategy=rendering.strategy,
        variant=rendering.variant,
        packing=to_record(rendering.packing),
        mesh=to_record(rendering.mesh),
        limbs=to_record(rendering.limbs),
        division=_stored_division(rendering.division),
        places=tuple(to_runs((n, _stored_place(p)) for n, p in found.plan.assignment.where.items())),
        graph=graph_digest(node for one in found.plan.rounds for node in one.nodes),
        received=stored_traffic(found.traffic.received),
        memory=asdict(found.memory),
    )


def rendering_of(stored: StoredPlan, layer: PlannedLayer) -> Rendering:
    """The rendering that was stored, for the same layer. Raises CompatibilityError, ContainerError."""
    layer.check(stored)
    packing = from_record(Packing, stored.packing, "the plan's packing")
    mesh = from_record(Mesh, stored.mesh, "the plan's mesh")
    limbs = from_record(LimbPlacement, stored.limbs, "the plan's placement of limbs")
    _check_mesh(mesh, limbs, layer)
    undivided = layer.program(packing)
    division = _division_of(stored, undivided.graph)
    where = places_of(stored, undivided.divided(division).graph, mesh).where

    def rule(node: Node) -> Place:
        return where[node.name]

    return Rendering(
        strategy=stored.strategy,
        variant=stored.variant,
        packing=packing,
        division=division,
        mesh=mesh,
        limbs=limbs,
        rule=rule,
        places_refreshes=True,
    )


def places_of(stored: StoredPlan, graph: Graph, mesh: Mesh) -> Assignment:
    """Who computes each node of the divided graph. Raises CompatibilityError for another graph."""
    runs = from_runs(stored.places, [node.name for node in graph.nodes], "the plan's places")
    if graph_digest(graph.nodes) != stored.graph:
        raise CompatibilityError(f"the plan was made for another version of this program: {CURE}")
    assignment = Assignment(mesh=mesh, where={name: _place(place) for name, place in runs})
    for node in graph.nodes:
        assignment.groups(node)
    return assignment


def graph_digest(nodes: Iterable[Node]) -> str:
    """SHA-256 of names, kinds of operators and values of a graph's nodes, in whatever order.

    Not of operators' numbers: ranges, which a plan does not know, are among them.
    """
    facts = sorted((n.name, type(n.operator).__name__, n.stage, n.block, n.inputs, n.outputs) for n in nodes)
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()


def _check_mesh(mesh: Mesh, limbs: LimbPlacement, layer: PlannedLayer) -> None:
    params = layer.bootstrap.params
    if mesh.world_size != layer.devices:
        raise CompatibilityError(
            f"the plan's mesh is of {mesh.tokens} x {mesh.limbs} devices, not of {layer.devices}: {CURE}"
        )
    digits = len(params.digits(params.max_level)) if limbs.digits else 0
    found = limbs.world_size, limbs.limbs, limbs.specials, limbs.digits
    if found != (mesh.limbs, len(params.q), len(params.p), digits):
        raise CompatibilityError(
            f"the plan places {limbs.limbs} + {limbs.specials} limbs on {limbs.world_size} devices; its "
            f"parameters have {len(params.q)} + {len(params.p)}, its groups {mesh.limbs}: {CURE}"
        )


def _stored_division(division: Division | NodeDivisions) -> StoredDivision:
    if isinstance(division, Division):
        return to_record(division)
    return tuple(to_runs((name, to_record(one)) for name, one in division.divisions))


def _division_of(stored: StoredPlan, undivided: Graph) -> Division | NodeDivisions:
    if isinstance(stored.division, dict):
        return from_record(Division, stored.division, "the plan's division")
    names = [node.name for node in undivided.nodes if not isinstance(node.operator, Input)]
    runs = from_runs(stored.division, names, "the plan's divisions")
    return NodeDivisions(tuple((name, from_record(Division, x, f"division of {name}")) for name, x in runs))


def _stored_place(place: Place) -> StoredPlace:
    return "team" if place is TEAM else place


def _place(place: StoredPlace) -> Place:
    return TEAM if place == "team" else place
