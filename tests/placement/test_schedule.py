"""Schedules: every value is where it is read, nothing moves twice, and a wrong plan is refused."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_fhe.errors import CompatibilityError, ParameterError
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Arrival, Form, ValueMove, Way
from aegis_fhe.placement.schedule import TEAM, Assignment, Place, Schedule, schedule
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.operators import Add, Input, Multiply


def node(name: str, *inputs: str, operator=None, stage: str = "s") -> Node:
    chosen = operator or (Multiply() if inputs else Input(3))
    return Node(name=name, operator=chosen, block=0, stage=stage, inputs=inputs, outputs=(name,))


@st.composite
def placed(draw) -> tuple[Graph, Assignment]:
    """A random graph with a random place for every node, groups or the team."""
    groups = draw(st.integers(1, 4))
    count = draw(st.integers(1, 14))
    nodes: list[Node] = []
    where: dict[str, Place] = {}
    for i in range(count):
        known = [n.name for n in nodes]
        inputs = draw(st.lists(st.sampled_from(known), max_size=3)) if known else []
        nodes.append(node(f"n{i}", *inputs))
        some = tuple(sorted(draw(st.sets(st.integers(0, groups - 1), min_size=1))))
        where[f"n{i}"] = draw(st.sampled_from([some, some, TEAM]))
    graph = Graph(tuple(nodes), (nodes[-1].name,))
    return graph, Assignment(mesh=Mesh(tokens=groups), where=where)


Part: TypeAlias = tuple[str, Form]


def replay(plan: Schedule) -> None:
    """Walks through the rounds as the devices do; a gathered value is whole when all its parts are there."""
    groups = range(plan.mesh.tokens)
    held: dict[int, set[Part]] = {group: set() for group in groups}
    moved: set[Arrival] = set()
    for one in plan.rounds:
        arriving: dict[tuple[int, Part], list[Arrival]] = {}
        for exchange in one.exchanges:
            for move, to in exchange.arrivals:
                assert (move.value, move.needs) in held[move.source]  # from an earlier round
                assert (move.value, move.makes) not in held[to]
                assert (move, to) not in moved
                moved.add((move, to))
                arriving.setdefault((to, (move.value, move.makes)), []).append((move, to))
        for (group, part), arrivals in arriving.items():
            sources = [move.source for move, _ in arrivals]
            assert sources == list(groups) if arrivals[0][0].way == "gather" else len(sources) == 1
            held[group].add(part)
        for n in one.nodes:
            form = plan.assignment.form(n)
            for group in plan.assignment.groups(n):
                assert {(value, form) for value in n.inputs} <= held[group]
                held[group].update((value, form) for value in n.outputs)


@settings(max_examples=300, deadline=None)
@given(placed())
def test_every_value_is_there_when_it_is_read(case: tuple[Graph, Assignment]):
    graph, assignment = case
    plan = schedule(graph, assignment)
    replay(plan)
    done = [n.name for one in plan.rounds for n in one.nodes]
    assert sorted(done) == sorted(n.name for n in graph.nodes)
    # Each move serves a node of its destination that does not have its input there in the form it takes.
    made = {n.name: (assignment.form(n), assignment.groups(n)) for n in graph.nodes}
    for move, to in (a for one in plan.rounds for exchange in one.exchanges for a in exchange.arrivals):
        readers = [n for n in graph.nodes if move.value in n.inputs and assignment.form(n) == move.makes]
        assert any(to in assignment.groups(n) for n in readers)
        form, groups = made[move.value]
        assert form == move.needs
        assert form != move.makes or to not in groups
        # Nothing crosses to a group that computed the whole value.
        assert move.way != "scatter" or move.source == to or to not in groups


def test_limbs_of_moves_are_those_that_the_destination_lacks():
    """A gather puts a value together without a row twice; a scatter gives each device its part."""
    layout = MeshLimbs(Mesh(tokens=3, limbs=2), LimbPlacement(world_size=2, limbs=11, specials=2))
    groups, devices = range(3), range(2)

    def moved(way: Way, source: int, destination: int, device: int, level: int) -> tuple[int, ...]:
        move = ValueMove(value="x", source=source, destinations=(destination,), stage="s", way=way)
        return layout.moved(move, destination, level, device)

    for level in range(11):
        for m in devices:
            whole = layout.held("whole", level, m)
            assert moved("copy", 1, 0, m, level) == whole == tuple(range(m, level + 1, 2))
            parts = [limb for source in groups for limb in moved("gather", source, 0, m, level)]
            assert sorted(parts) == list(whole)
            for group in groups:
                mine = layout.held("shared", level, layout.mesh.rank(group, m))
                assert moved("scatter", 0, group, m, level) == moved("gather", group, 0, m, level) == mine
        everything = [limb for rank in range(6) for limb in layout.held("shared", level, rank)]
        assert sorted(everything) == list(range(level + 1))
    assert layout.specials("shared", 5) == layout.specials("whole", 5) == (11, 12)


def test_kinds_of_moves_to_and_from_the_team():
    nodes = (
        node("a"),
        node("b", "a", stage="spread"),
        node("c", "b", stage="one"),
        node("d", "b", stage="all"),
        node("e", "b", stage="again"),
    )
    where: dict[str, Place] = {"a": (1,), "b": TEAM, "c": (0,), "d": (0, 1, 2), "e": (0,)}
    plan = schedule(Graph(nodes, ("c", "d", "e")), Assignment(mesh=Mesh(tokens=3), where=where))
    found = [
        (e.stage, e.kind, [(m.source, to) for m, to in e.arrivals]) for r in plan.rounds for e in r.exchanges
    ]
    assert found == [
        ("spread", "scatter", [(1, 0), (1, 1), (1, 2)]),
        ("one", "gather", [(0, 0), (1, 0), (2, 0)]),
        ("all", "gather", [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]),
    ]
    everywhere = {**where, "c": (0, 1, 2)}
    plan = schedule(Graph(nodes, ("c", "d", "e")), Assignment(mesh=Mesh(tokens=3), where=everywhere))
    assert [e.kind for r in plan.rounds for e in r.exchanges] == ["scatter", "all_gather"]


def test_kinds_of_collectives():
    nodes = (
        node("a"),
        node("b"),
        node("c"),
        *(node(f"all{i}", "a", "b", "c", stage="gather") for i in range(3)),
        node("root", "a", stage="cast"),
        node("sum", "all0", "all1", "all2", operator=Add(), stage="reduce"),
        node("one", "sum", stage="send"),
    )
    where: dict[str, Place] = {"a": (0,), "b": (1,), "c": (2,), "all0": (0,), "all1": (1,), "all2": (2,)}
    where |= {"root": (0, 1, 2), "sum": (1,), "one": (0,)}
    plan = schedule(Graph(nodes, ("one",)), Assignment(mesh=Mesh(tokens=3), where=where))
    kinds = [(e.stage, e.kind, len([*e.arrivals])) for one in plan.rounds for e in one.exchanges]
    assert kinds == [("gather", "all_gather", 6), ("reduce", "reduce_scatter", 2), ("send", "exchange", 1)]
    alone = {**where, "b": (0,), "c": (0,)}
    plan = schedule(Graph(nodes, ("one",)), Assignment(mesh=Mesh(tokens=3), where=alone))
    assert next(e.kind for one in plan.rounds for e in one.exchanges) == "broadcast"


def test_wrong_plans_are_refused():
    graph = Graph((node("a"),), ("a",))
    for where in ({}, {"a": ()}, {"a": (2,)}, {"a": (1, 0)}, {"a": (-1,)}):
        with pytest.raises(CompatibilityError, match="this plan is not one of this program"):
            schedule(graph, Assignment(mesh=Mesh(tokens=2), where=where))
    with pytest.raises(ParameterError, match="1 x 1 is least"):
        Mesh(tokens=0)


def test_ranks_of_a_mesh():
    mesh = Mesh(tokens=2, limbs=3)
    assert mesh.groups() == [[0, 1, 2], [3, 4, 5]]
    assert mesh.columns() == [[0, 3], [1, 4], [2, 5]]
    assert [mesh.rank(*mesh.place(rank)) for rank in range(6)] == list(range(6))
