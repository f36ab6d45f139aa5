"""Any plan runs to its end, whatever is slow: values come where they are read, nobody waits for ever."""

from __future__ import annotations

import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aegis_fhe.ckks import Ciphertext
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.moves import Arrival, Exchange, Form, ValueMove
from aegis_fhe.placement.schedule import Assignment, Schedule, schedule
from aegis_fhe.program.graph import Graph
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.mesh.checkpoints import Checkpoints, alive_names
from aegis_fhe.runtime.mesh.connect import MeshCommunicators
from aegis_fhe.runtime.mesh.flights import Cut, Flights, Ready
from aegis_fhe.runtime.transfers import Transfer
from placement.test_schedule import node, placed

from ..together import mesh_together


@dataclass
class Numbers:
    """In place of `Values`: a value is a number, the same in both forms."""

    communicators: MeshCommunicators
    left: dict[Form, Counter[str]]
    here: dict[Form, dict[str, Tensor]] = field(default_factory=lambda: {"whole": {}, "shared": {}})

    def every(self) -> list[Ciphertext]:
        return []  # numbers take no memory here: what is alive is room for what comes

    @property
    def group(self) -> int:
        return self.communicators.group

    def has(self, move: ValueMove) -> bool:
        return move.value in self.here[move.needs]

    def put(self, name: str, form: Form, parts: list[tuple[ValueMove, Tensor]]) -> None:
        assert name not in self.here[form]
        assert len({int(part) for _, part in parts}) == 1
        self.here[form][name] = parts[0][1]

    def leave(self, exchange: Exchange) -> None:
        for move in exchange.moves:
            if move.source == self.group:
                self.use(move.value, move.needs)

    def use(self, name: str, form: Form) -> None:
        self.left[form][name] -= 1
        assert self.left[form][name] >= 0
        if not self.left[form][name]:
            del self.here[form][name]

    def transfer(self, index: int, arrival: Arrival) -> Transfer:
        move, destination = arrival
        return Transfer(index=index, source=move.source, destination=destination, shape=(1,))

    def sent(self, arrival: Arrival) -> Tensor:
        move, _ = arrival
        return self.here[move.needs][move.value]


def number_of(name: str, inputs: list[int]) -> int:
    return zlib.crc32(repr((name, inputs)).encode())


def expected(graph: Graph) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in graph.nodes:
        found[one.outputs[0]] = number_of(one.name, [found[x] for x in one.inputs])
    return found


@settings(max_examples=150, deadline=None)
@given(placed(), st.integers(0, 2**32 - 1))
def test_every_value_comes_where_it_is_read(case: tuple[Graph, Assignment], seed: int):
    """Some nodes of some groups sleep; a node of the team begins when all groups are there."""
    graph, assignment = case
    plan, numbers = schedule(graph, assignment), expected(graph)
    meeting = threading.Barrier(plan.mesh.tokens)

    def body(communicators: MeshCommunicators) -> dict[str, int]:
        return run(plan, graph, communicators, meeting, seed)

    for made in mesh_together(Mesh(tokens=plan.mesh.tokens), body):
        assert made == {name: numbers[name] for name in made}


@settings(max_examples=100, deadline=None)
@given(placed(), st.sets(st.integers(1, 14)), st.integers(0, 2**32 - 1))
def test_a_run_goes_on_from_every_cut(case: tuple[Graph, Assignment], places: set[int], seed: int):
    """Devices stop at cuts with nothing under way; others that begin there make the same of what was here."""
    graph, assignment = case
    plan, numbers = schedule(graph, assignment), expected(graph)
    checkpoints = Checkpoints(cuts=tuple(place for place in places if place < len(graph.nodes)))
    cut, rounds, _ = checkpoints.divided(plan)
    states: dict[tuple[int, int], Here] = {}
    meeting = threading.Barrier(plan.mesh.tokens)

    def whole(communicators: MeshCommunicators) -> dict[str, int]:
        return run(cut, graph, communicators, meeting, seed, rounds, states=states)

    def rest(first: int) -> Callable[[MeshCommunicators], dict[str, int]]:
        return lambda c: run(cut, graph, c, meeting, seed, rounds, first, states[c.group, first])

    mesh, every = Mesh(tokens=plan.mesh.tokens), set(graph.results)
    for made in mesh_together(mesh, whole):
        assert made == {name: numbers[name] for name in made}
    for first in rounds:
        for group, made in enumerate(mesh_together(mesh, rest(first))):
            assert made == {name: numbers[name] for name in made}
            later = {node.name for nodes in cut.rounds_of(group)[first:] for node in nodes}
            assert later <= set(made)
            every -= set(made)
    assert not every or not rounds


Here: TypeAlias = dict[Form, dict[str, Tensor]]


def run(
    plan: Schedule,
    graph: Graph,
    communicators: MeshCommunicators,
    meeting: threading.Barrier,
    seed: int,
    cuts: Collection[int] = (),
    first: int = 0,
    begin: Here | None = None,
    states: dict[tuple[int, int], Here] | None = None,
) -> dict[str, int]:
    """What a group made; at the end nothing is left here but results."""
    group = communicators.group
    values: Any = Numbers(communicators, plan.uses(group, graph.results, first))
    if begin is not None:
        values.here = {form: dict(own) for form, own in begin.items()}
        assert alive_names(values, plan, first) == {(f, name) for f, own in begin.items() for name in own}
    made: dict[str, int] = {}
    flights = Flights(values, plan, cuts, first)
    for step in flights.steps():
        if isinstance(step, Cut) and states is not None:
            assert not flights.messages.coming
            assert not flights.messages.sent
            states[group, step.rounds] = {form: dict(own) for form, own in values.here.items()}
        if not isinstance(step, Ready):
            continue
        one, form = step.node, plan.assignment.form(step.node)
        if form == "shared":
            meeting.wait(timeout=30)
        if zlib.crc32(f"{seed} {group} {one.name}".encode()) % 4 == 0:
            time.sleep(0.002)
        made[one.outputs[0]] = number_of(one.name, [int(values.here[form][x]) for x in one.inputs])
        values.here[form][one.outputs[0]] = torch.tensor([made[one.outputs[0]]])
        for name in one.inputs:
            values.use(name, form)
        if not values.left[form][one.outputs[0]]:
            del values.here[form][one.outputs[0]]
    left = {name for own in values.here.values() for name in own}
    assert left <= set(graph.results)
    return made


def test_a_device_takes_room_where_the_value_is_made():
    """Group 1 has nothing to do with `made` before it comes to its place: then its room is counted."""
    graph = Graph((node("other"), node("made"), node("between"), node("read", "made")), ("read",))
    where = {"other": (1,), "made": (0,), "between": (1,), "read": (1,)}
    plan = schedule(graph, Assignment(mesh=Mesh(tokens=2), where=where))

    def body(communicators: MeshCommunicators) -> dict[str, int]:
        values: Any = Numbers(communicators, plan.uses(communicators.group, graph.results))
        alive = {}
        for step in Flights(values, plan).steps():
            if isinstance(step, Ready):
                alive[step.node.name] = step.alive_bytes
                values.here["whole"][step.node.name] = torch.tensor([1])
        return alive

    first, second = mesh_together(Mesh(tokens=2), body)
    assert first == {"made": 0}
    assert second == {"other": 0, "between": 8, "read": 0}


def test_one_device_needs_no_transport():
    """World size 1: the same code, nothing moves."""
    graph = Graph((node("a"), node("b", "a")), ("b",))
    plan = schedule(graph, Assignment(mesh=Mesh(), where={"a": (0,), "b": (0,)}))
    alone = MeshCommunicators(mesh=Mesh(), tokens=Communicator(), limbs=Communicator(), team=Communicator())
    made = run(plan, graph, alone, threading.Barrier(1), 0)
    assert made == expected(graph)
