"""A plan in which the team computes everything is a plan of one group whose devices share limbs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.placement.cost import load_device, load_network
from aegis_fhe.placement.evaluate import Evaluation, Machine, evaluate
from aegis_fhe.placement.facts import GraphFacts, graph_facts, nothing_seen
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.node_seconds import FormSeconds
from aegis_fhe.placement.schedule import TEAM, Assignment, Place, Schedule, schedule
from aegis_fhe.placement.shape_memory import DeviceMemory, device_memory
from aegis_fhe.placement.strategies import Rendering
from aegis_fhe.placement.timeline import simulate
from aegis_fhe.placement.traffic import TEAM_AXIS, predict_traffic
from aegis_fhe.program.graph import Graph
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.long.shape import Degrees, LayerShape
from aegis_fhe.program.long.shape_program import Packing, ShapeProgram

SHAPE = LayerShape.encoder(features=40, heads=2, hidden=72)
DEGREES = Degrees(exponential=15, squarings=0, reciprocal=15, newton_steps=0, inverse_sqrt=15, activation=15)


@cache
def program() -> ShapeProgram:
    return ShapeProgram.of(SHAPE, presets.insecure(9, levels_left=14), tokens=16, degrees=DEGREES)


@dataclass(frozen=True)
class Planned:
    plan: Schedule
    facts: GraphFacts
    limbs: LimbPlacement

    def memory(self, group: int = 0) -> DeviceMemory:
        return device_memory(self.plan, self.facts, program().bootstrap.params, self.limbs, group)


def planned(mesh: Mesh, where: dict[str, Place]) -> Planned:
    params = program().bootstrap.params
    limbs = LimbPlacement(world_size=mesh.limbs, limbs=len(params.q), specials=len(params.p))
    assignment = Assignment(mesh=mesh, where=where)
    team = nothing_seen(params, MeshLimbs(mesh, limbs).team)
    others = {n.name: team for n in program().graph.nodes if assignment.form(n) == "shared"}
    facts = graph_facts(
        program().graph, program().context, program().symbols, nothing_seen(params, limbs), others
    )
    return Planned(schedule(program().graph, assignment), facts, limbs)


def everywhere(place: Place) -> dict[str, Place]:
    return {node.name: place for node in program().graph.nodes}


@pytest.mark.parametrize(("tokens", "limbs"), [(4, 1), (2, 2)])
def test_a_team_of_everything_is_one_group_that_shares_limbs(tokens: int, limbs: int):
    group = planned(Mesh(limbs=4), everywhere((0,)))
    team = planned(Mesh(tokens=tokens, limbs=limbs), everywhere(TEAM))
    degree, period = program().bootstrap.params.degree, program().plan.layout.sub_slots
    assert period > 1
    expected = predict_traffic(group.plan, group.limbs, group.facts, degree).received
    found = predict_traffic(team.plan, team.limbs, team.facts, degree).received
    assert len(expected) == len(found) == 4
    assert expected[0]
    for one, other in zip(found, expected, strict=True):
        assert one == {(TEAM_AXIS, stage, kind): count for (_, stage, kind), count in other.items()}
    assert team.memory() == group.memory()
    device, network = load_device("h200"), load_network("pcie5")

    def seconds(p: Planned) -> float:
        costs = FormSeconds.of_program(program(), MeshLimbs(p.plan.mesh, p.limbs), device).of_plan(
            p.plan, p.facts
        )
        return simulate(p.plan, p.facts, costs, network, p.limbs, degree).seconds

    assert seconds(team) == pytest.approx(seconds(group))


def test_a_device_of_a_later_group_holds_fewer_limbs():
    team = planned(Mesh(tokens=4), everywhere(TEAM))
    totals = [team.memory(group).total for group in range(4)]
    assert totals == sorted(totals, reverse=True)
    assert totals[0] > totals[3]


def test_a_key_that_is_used_whole_and_shared_is_held_whole():
    whole, shared = planned(Mesh(tokens=4), everywhere((0,))), planned(Mesh(tokens=4), everywhere(TEAM))
    last = program().graph.nodes[-1]
    mixed = planned(Mesh(tokens=4), everywhere((0,)) | {last.name: TEAM})
    assert shared.memory().keys < whole.memory().keys
    assert mixed.memory().keys == whole.memory().keys  # group 0 has every key whole
    others = mixed.memory(1)
    assert 0 < others.keys < shared.memory(1).keys  # those of one node, in the limbs of one of four
    assert others.weights <= mixed.memory(0).weights


def test_values_of_the_team_take_a_part_of_the_memory():
    whole, shared = planned(Mesh(tokens=4), everywhere((0,))), planned(Mesh(tokens=4), everywhere(TEAM))
    one, all_four = (memory.activations + memory.workspace for memory in (shared.memory(), whole.memory()))
    assert all_four / 4 <= one < all_four / 2


@dataclass(frozen=True, kw_only=True)
class Statistics(Rendering):
    """Everything on group 0, but the statistics of norms where `place` says."""

    place: Place

    def assignment(self, graph: Graph) -> Assignment:
        chain = statistics()
        return Assignment(
            mesh=self.mesh, where={n.name: self.place if n.name in chain else (0,) for n in graph.nodes}
        )


def statistics() -> list[str]:
    names = [n.name for n in program().graph.nodes if n.name.startswith(("first.variance", "first.root"))]
    assert len(names) >= 2
    return names


@pytest.mark.parametrize("link", ["h200-nvlink", "ethernet-100g"])
def test_the_team_saves_computing_and_pays_by_waiting(link: str):
    """All else stays on group 0, which does it in turn."""
    params = program().bootstrap.params
    limbs = LimbPlacement(world_size=1, limbs=len(params.q), specials=len(params.p))
    machine = Machine(device=load_device("h200"), network=load_network(link))

    def evaluated(place: Place) -> Evaluation:
        rendering = Statistics(
            strategy="test",
            variant=str(place),
            packing=Packing(),
            division=Division(),
            mesh=Mesh(tokens=4),
            limbs=limbs,
            rule=lambda node: (0,),
            place=place,
        )
        return evaluate(rendering, program(), machine)

    alone, shared = evaluated((0,)), evaluated(TEAM)
    # Group 0 saves what it computes less, and waits for rows, for what is scattered and for what is gathered.
    saved = sum(alone.timeline.busy.values()) - sum(shared.timeline.busy.values())
    waits = sum(shared.timeline.exposed.values())
    assert saved > 0 < waits
    assert not any(alone.timeline.exposed.values())
    assert alone.timeline.seconds - shared.timeline.seconds == pytest.approx(saved - waits, rel=1e-6)
    assert shared.timeline.seconds <= shared.blocking.seconds * (1 + 1e-9)
    assert alone.traffic.most == 0
    kinds = shared.collectives("norms") + shared.collectives("bootstraps")
    assert kinds["scatter"] == 1
    assert kinds["gather"] == 1
    assert kinds["all_gather"] == 76
    assert shared.memory.total >= shared.memory.keys == alone.memory.keys
