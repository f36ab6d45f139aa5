"""Seconds of schedules, by hand: who waits for whom, and what a team does to that."""

from __future__ import annotations

import pytest

from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.placement.cost import Link, Network
from aegis_fhe.placement.facts import GraphFacts, NodeFacts
from aegis_fhe.placement.limb_traffic import RowCollective
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.schedule import TEAM, Assignment, Place, schedule
from aegis_fhe.placement.timeline import Moving, Timeline, on_all_groups, simulate, timelines
from aegis_fhe.program.graph import Graph, Node

from .test_schedule import node

LIMBS = LimbPlacement(world_size=1, limbs=8, specials=2)
TEAM_LIMBS = LIMBS.shared_by(2)
# A row of N = 128 takes a millisecond.
ROW_MS = Network(link=Link(name="row", bytes_per_second=1024e3, latency_seconds=0.0, share=1.0))
NODES = (node("a"), node("b"), node("long", "b"), node("both", "a"), node("end", "both"))
MS = {"a": 1, "b": 1, "long": 20, "both": 3, "end": 2}


def timeline(where: dict[str, Place], moving: Moving, *, gathered: bool = True) -> Timeline:
    """Milliseconds; every value has eight limbs in two components; the team gathers one component of one."""
    moves = TEAM_LIMBS.gather(7)
    gather = RowCollective(node="", operation="all_gather", moves=moves, components=1, received=(4, 4))
    facts = {n.name: NodeFacts(OperationCounts()) for n in NODES}
    if gathered:
        facts["both"] = NodeFacts(OperationCounts(), (gather,))
    found = simulate(
        schedule(Graph(NODES, ("end",)), Assignment(mesh=Mesh(tokens=2), where=where)),
        GraphFacts(nodes=facts, symbols={n.name: Symbol(7, 1.0) for n in NODES}),
        lambda n: MS[n.name] / 1000,
        ROW_MS,
        LIMBS,
        128,
        moving=moving,
    )
    return found


@pytest.mark.parametrize("moving", ["blocking", "eager"])
def test_a_node_of_the_team_waits_for_all_devices(moving: Moving):
    """Computed: a 1, b 1, long 20, both 3, end 2; 8 rows are scattered, 4 gathered in both, 8 after it."""
    where: dict[str, Place] = {"a": (0,), "b": (1,), "long": (0,), "both": TEAM, "end": (0,)}
    alone = timeline({**where, "long": (1,)}, moving)
    if moving == "blocking":
        # The exchange of the second round begins when both groups have ended the first, b's long reader too.
        assert alone.seconds * 1000 == pytest.approx(1 + 20 + 8 + 3 + 4 + 8 + 2)
    else:
        # What is scattered travels under b's long reader; the team begins when group 1 is free.
        assert alone.seconds * 1000 == pytest.approx(1 + 20 + 3 + 4 + 8 + 2)
    without = timeline({**where, "long": (1,)}, moving, gathered=False)
    assert (alone.seconds - without.seconds) * 1000 == pytest.approx(4)


@pytest.mark.parametrize("moving", ["blocking", "eager"])
def test_exchanges_of_limbs_are_waiting_inside_nodes(moving: Moving):
    """What the team gathers inside `both` takes 4 ms, whoever waits for whom."""
    where: dict[str, Place] = {"a": (0,), "b": (1,), "long": (0,), "both": TEAM, "end": (0,)}
    found = timeline(where, moving)
    assert sum(found.inside.values()) * 1000 == pytest.approx(4)
    assert all(found.inside[stage] <= found.exposed[stage] for stage in found.inside)
    assert sum(timeline(where, moving, gathered=False).inside.values()) == 0


def test_every_group_has_a_timeline_and_the_last_is_that_of_all():
    where: dict[str, Place] = {"a": (0,), "b": (1,), "long": (1,), "both": (0,), "end": (0,)}
    plan = schedule(Graph(NODES, ("end", "long")), Assignment(mesh=Mesh(tokens=2), where=where))
    facts = GraphFacts(
        nodes={n.name: NodeFacts(OperationCounts()) for n in NODES},
        symbols={n.name: Symbol(7, 1.0) for n in NODES},
    )
    costs = {n.name: MS[n.name] / 1000 for n in NODES}

    def cost(n: Node) -> float:
        return costs[n.name]

    found = timelines(plan, facts, on_all_groups(cost), ROW_MS, LIMBS, 128, moving="eager")
    assert [one.seconds * 1000 for one in found] == [pytest.approx(1 + 3 + 2), pytest.approx(1 + 20)]
    assert simulate(plan, facts, cost, ROW_MS, LIMBS, 128, moving="eager") == found[1]
    for one in found:
        assert sum(one.busy.values()) + sum(one.exposed.values()) == pytest.approx(one.seconds)


def test_both_groups_compute_what_the_team_does():
    where: dict[str, Place] = {"a": (0, 1), "b": (0,), "long": (0,), "both": TEAM, "end": TEAM}
    found = timeline(where, "eager", gathered=False)
    # Nothing moves: both groups have a and slice it.
    assert found.seconds * 1000 == pytest.approx(1 + 1 + 20 + 3 + 2)
    assert sum(found.busy.values()) * 1000 == pytest.approx(1 + 1 + 20 + 3 + 2)


def test_a_value_leaves_when_its_receiver_is_a_round_before_its_need():
    """early is made at 1, but group 1 begins the round before `last` at 21: early and back, 16 ms each."""
    nodes = (
        node("early"),
        node("out"),
        node("busy", "out"),
        node("back", "out"),
        node("last", "early", "back"),
    )
    where: dict[str, Place] = {"early": (0,), "out": (1,), "busy": (1,), "back": (0,), "last": (1,)}
    ms = {"early": 1, "out": 1, "busy": 20, "back": 1, "last": 2}

    def seconds(places: dict[str, Place]) -> float:
        return simulate(
            schedule(Graph(nodes, ("last",)), Assignment(mesh=Mesh(tokens=2), where=places)),
            GraphFacts(
                nodes={n.name: NodeFacts(OperationCounts()) for n in nodes},
                symbols={n.name: Symbol(7, 1.0) for n in nodes},
            ),
            lambda n: ms[n.name] / 1000,
            ROW_MS,
            LIMBS,
            128,
            moving="eager",
        ).seconds

    assert seconds(where) * 1000 == pytest.approx(1 + 20 + 16 + 16 + 2)
    # Group 0 is busy instead: nothing holds early back, and back waits for its own maker alone.
    assert seconds({**where, "busy": (0,)}) * 1000 == pytest.approx(1 + 16 + 20 + 1 + 16 + 2)
