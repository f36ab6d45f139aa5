"""What a layer takes whose nodes have places, without running it: every rank's bytes, memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.facts import GraphFacts, Seen, graph_facts, nothing_seen
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.schedule import Assignment, Schedule, schedule
from aegis_fhe.placement.shape_memory import DeviceMemory, device_memory, fullest_memory
from aegis_fhe.placement.traffic import Traffic, predict_traffic
from aegis_fhe.program.graph import Graph
from aegis_fhe.program.operators import Context


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """traffic: exact bytes; memory: of the fullest device."""

    plan: Schedule
    facts: GraphFacts
    traffic: Traffic
    memory: DeviceMemory


def predict(
    graph: Graph,
    context: Context,
    inputs: Mapping[str, Symbol],
    params: Parameters,
    assignment: Assignment,
    limbs: LimbPlacement,
) -> Prediction:
    """graph: divided. inputs: of each input ciphertext. Raises as `schedule` and `graph_facts`."""
    plan = schedule(graph, assignment)
    facts = schedule_facts(graph, context, inputs, params, plan, limbs)
    return Prediction(
        plan=plan,
        facts=facts,
        traffic=predict_traffic(plan, limbs, facts, params.degree),
        memory=fullest_memory(plan, facts, params, limbs, graph.results),
    )


def device_memories(
    graph: Graph,
    context: Context,
    inputs: Mapping[str, Symbol],
    params: Parameters,
    plan: Schedule,
    limbs: LimbPlacement,
) -> list[DeviceMemory]:
    """Of every rank, from a run of the operators as that device computes them. Arguments as of `predict`."""
    mesh, team, found = plan.mesh, MeshLimbs(plan.mesh, limbs).team, []
    seen = [nothing_seen(params, limbs, device) for device in range(mesh.limbs)]
    for rank in range(mesh.world_size):
        own = seen[mesh.place(rank)[1]]
        facts = schedule_facts(
            graph, context, inputs, params, plan, limbs, own, nothing_seen(params, team, rank)
        )
        found.append(device_memory(plan, facts, params, limbs, rank, graph.results))
    return found


def schedule_facts(
    graph: Graph,
    context: Context,
    inputs: Mapping[str, Symbol],
    params: Parameters,
    plan: Schedule,
    limbs: LimbPlacement,
    seen: Seen | None = None,
    team_seen: Seen | None = None,
) -> GraphFacts:
    """Each node as those compute it that share its limbs. seen, team_seen: as of `evaluate`."""
    seen = nothing_seen(params, limbs) if seen is None else seen
    if team_seen is None:
        team_seen = nothing_seen(params, MeshLimbs(plan.mesh, limbs).team)
    shared = (node.name for node in graph.nodes if plan.assignment.form(node) == "shared")
    return graph_facts(graph, context, inputs, seen, dict.fromkeys(shared, team_seen))
