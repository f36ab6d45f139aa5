"""Observers of the executor: they hear every step, and a device's log tells all that it did."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aegis_fhe.observe.trace import COUNTER, TraceLog, read_log
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.program.graph import Node
from aegis_fhe.runtime.mesh import MeshCommunicators, MeshExecution
from aegis_fhe.runtime.mesh.observer import Observers, Step
from aegis_fhe.runtime.mesh.reported import ReportedSteps

from ..together import mesh_together
from .cases import random_case

# Groups that share limbs, some nodes of the team: every axis has something to exchange.
MESH = Mesh(tokens=2, limbs=2)
CASE = random_case(MESH, 1, 30)


class Heard:
    """Keeps what it is told, as an observer and as a sink of progress."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float, float, float]] = []
        self.progress: list[tuple[str, float]] = []

    def begin(self) -> None:
        assert not self.steps

    def after(self, step: Step, waited: float, began: float, ended: float) -> None:
        self.steps.append((step.stage, waited, began, ended))

    def advance(self, node: str, weight: float) -> None:
        self.progress.append((node, weight))


@dataclass(frozen=True)
class Watched:
    """A device that ran, and all that was heard of it."""

    execution: MeshExecution
    received: dict[tuple[str, str, str], int]
    log: Path
    one: Heard
    other: Heard

    @property
    def nodes(self) -> list[Node]:
        return CASE.program.schedule.nodes_of(MESH.place(int(self.log.name))[0])

    def events(self) -> dict[str, list[dict[str, Any]]]:
        """Of its log, by category."""
        found: dict[str, list[dict[str, Any]]] = {}
        for event in read_log(self.log):
            found.setdefault(event["category"], []).append(event)
        return found


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> list[Watched]:
    """One run, watched by all at once."""
    folder = tmp_path_factory.mktemp("logs")

    def body(communicators: MeshCommunicators) -> Watched:
        rank, one, other = communicators.rank, Heard(), Heard()
        nodes = CASE.program.schedule.nodes_of(communicators.group)
        weights = {node.name: float(number) for number, node in enumerate(nodes)}
        observers = Observers([one, ReportedSteps(one, weights), other])
        with TraceLog(folder / str(rank), rank) as log:
            execution = CASE.share(communicators, log=log, observer=observers)
        return Watched(execution, communicators.received(), folder / str(rank), one, other)

    return mesh_together(MESH, body)


def test_every_node_is_in_the_log(devices: list[Watched]):
    for device in devices:
        events = device.events()
        assert set(events) == {"compute", "wait", "communication", COUNTER}
        assert [e["name"] for e in events["compute"]] == [node.name for node in device.nodes]
        for event, node in zip(events["compute"], device.nodes, strict=True):
            assert event["arguments"]["operator"] == type(node.operator).__name__
            assert event["arguments"]["stage"] == node.stage
            assert event["arguments"]["level"] == CASE.program.symbols[node.outputs[0]].level


def test_every_byte_is_in_the_log(devices: list[Watched]):
    for device in devices:
        found: dict[tuple[str, str, str], int] = {}
        for own in (e["arguments"] for e in device.events()["communication"]):
            key = own["axis"], own["stage"], own["operation"]
            found[key] = found.get(key, 0) + own["bytes_received"]
        assert {key: count for key, count in found.items() if count} == device.received
        assert {axis for axis, _, _ in device.received} == {"token", "limb", "team"}


def test_spans_are_no_longer_than_what_was_measured(devices: list[Watched]):
    """A millisecond for what the difference of two clocks loses."""
    for device in devices:
        events, waited = device.events(), sum(device.execution.waiting.values())
        assert sum(e["end"] - e["start"] for e in events["wait"]) <= waited + 1e-3
        computed = sum(device.execution.seconds.values()) - waited
        assert 0 < sum(e["end"] - e["start"] for e in events["compute"]) <= computed + 1e-3


def test_memory_at_the_fullest_moment_is_in_the_log(devices: list[Watched]):
    for device in devices:
        curve, held = [e["arguments"] for e in device.events()[COUNTER]], device.execution.held
        assert len(curve) == len(device.nodes)
        assert max(one["peak"] for one in curve) >= held.activations + held.workspace
        assert held.activations in [one["alive"] for one in curve]


def test_every_observer_hears_every_step_and_steps_follow_each_other(devices: list[Watched]):
    """What a step waited and computed, over all steps, is what the stages took."""
    for device in devices:
        assert device.one.steps == device.other.steps
        stages: dict[str, float] = {}
        for stage, waited, began, ended in device.one.steps:
            assert waited <= began <= ended
            stages[stage] = stages.get(stage, 0.0) + (ended - waited)
        assert stages == dict(device.execution.seconds)
        for before, after in pairwise(device.one.steps):
            assert before[3] == after[1]


def test_progress_counts_every_node_by_its_weight(devices: list[Watched]):
    for device in devices:
        expected = [(node.stage, float(number)) for number, node in enumerate(device.nodes)]
        assert device.one.progress == expected
