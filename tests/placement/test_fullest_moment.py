"""When a device holds most, by hand."""

from __future__ import annotations

from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks import presets
from aegis_fhe.placement.facts import GraphFacts, NodeFacts
from aegis_fhe.placement.fullest_moment import fullest_moment
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.schedule import Assignment, Place, schedule
from aegis_fhe.program.graph import Graph

from .test_schedule import node

PARAMS = presets.insecure(6, 3, 2)
VALUE = 2 * len(PARAMS.q) * PARAMS.degree * 8


def test_what_leaves_is_there_until_there_is_room_for_all_that_comes():
    """Group 0 sends a, which nothing there needs any more, and ends the round with room for what group 1
    makes of it: both at once. Group 1 has a alone: what it makes of it is its operator's.
    """
    nodes = (node("a"), node("b", "a"), node("c", "b"))
    where: dict[str, Place] = {"a": (0,), "b": (1,), "c": (0,)}
    plan = schedule(Graph(nodes, ("c",)), Assignment(mesh=Mesh(tokens=2), where=where))
    facts = GraphFacts(
        nodes={n.name: NodeFacts(OperationCounts()) for n in nodes},
        symbols={n.name: Symbol(PARAMS.max_level, 1.0) for n in nodes},
    )
    limbs = LimbPlacement(world_size=1, limbs=len(PARAMS.q), specials=len(PARAMS.p))
    layout = MeshLimbs(plan.mesh, limbs)
    found = [fullest_moment(plan, facts, PARAMS, layout, rank, ["c"], {}) for rank in range(2)]
    assert found == [(2 * VALUE, 0), (VALUE, 0)]
