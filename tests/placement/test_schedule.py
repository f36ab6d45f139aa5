"""Schedules: every value is where it is read, nothing moves twice, and a wrong plan is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_fhe.errors import CompatibilityError, ParameterError
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.schedule import Assignment, Schedule, schedule
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.operators import Add, Input, Multiply


def node(name: str, *inputs: str, operator=None, stage: str = "s") -> Node:
    chosen = operator or (Multiply() if inputs else Input(3))
    return Node(name=name, operator=chosen, block=0, stage=stage, inputs=inputs, outputs=(name,))


@st.composite
def placed(draw) -> tuple[Graph, Assignment]:
    """A random graph with a random place for every node."""
    groups = draw(st.integers(1, 4))
    count = draw(st.integers(1, 14))
    nodes: list[Node] = []
    where: dict[str, tuple[int, ...]] = {}
    for i in range(count):
        known = [n.name for n in nodes]
        inputs = draw(st.lists(st.sampled_from(known), max_size=3)) if known else []
        nodes.append(node(f"n{i}", *inputs))
        where[f"n{i}"] = tuple(sorted(draw(st.sets(st.integers(0, groups - 1), min_size=1))))
    graph = Graph(tuple(nodes), (nodes[-1].name,))
    return graph, Assignment(mesh=Mesh(tokens=groups), where=where)


def replay(plan: Schedule) -> None:
    """Walks through the rounds as the devices do."""
    held: dict[int, set[str]] = {group: set() for group in range(plan.mesh.tokens)}
    moved: set[tuple[str, int]] = set()
    for one in plan.rounds:
        arriving: list[tuple[int, str]] = []
        for exchange in one.exchanges:
            for move in exchange.moves:
                assert move.value in held[move.source]  # from an earlier round
                assert move.value not in held[move.destination]
                assert (move.value, move.destination) not in moved
                moved.add((move.value, move.destination))
                arriving.append((move.destination, move.value))
        for group, value in arriving:
            held[group].add(value)
        for n in one.nodes:
            for group in plan.assignment.where[n.name]:
                assert set(n.inputs) <= held[group]
                held[group].update(n.outputs)


@settings(max_examples=200, deadline=None)
@given(placed())
def test_every_value_is_there_when_it_is_read(case: tuple[Graph, Assignment]):
    graph, assignment = case
    plan = schedule(graph, assignment)
    replay(plan)
    done = [n.name for one in plan.rounds for n in one.nodes]
    assert sorted(done) == sorted(n.name for n in graph.nodes)
    # Each move serves a node of its destination that nobody there computes the input of.
    for one in plan.rounds:
        for exchange in one.exchanges:
            for move in exchange.moves:
                readers = [n for n in graph.nodes if move.value in n.inputs]
                assert any(move.destination in assignment.where[n.name] for n in readers)
                assert move.destination not in assignment.where[move.value]


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
    where = {"a": (0,), "b": (1,), "c": (2,), "all0": (0,), "all1": (1,), "all2": (2,)}
    where |= {"root": (0, 1, 2), "sum": (1,), "one": (0,)}
    plan = schedule(Graph(nodes, ("one",)), Assignment(mesh=Mesh(tokens=3), where=where))
    kinds = [(e.stage, e.kind, len(e.moves)) for one in plan.rounds for e in one.exchanges]
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
