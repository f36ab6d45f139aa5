"""The log of a device tells all that it did: every node, what it waited, every byte, memory."""

from __future__ import annotations

from pathlib import Path

from aegis_fhe.observe.trace import COUNTER, TraceLog, read_log
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.runtime.mesh import MeshCommunicators, MeshExecution
from aegis_fhe.runtime.mesh.observer import Observers, Step
from aegis_fhe.runtime.mesh.reported import ReportedSteps

from ..together import mesh_together
from .cases import random_case

MESH = Mesh(tokens=2, limbs=2)
CASE = random_case(MESH, 1, 30)


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float, float, float]] = []

    def after(self, step: Step, waited: float, began: float, ended: float) -> None:
        self.steps.append((step.stage, waited, began, ended))


def test_all_that_a_device_did_is_in_its_log(tmp_path: Path):
    """Groups that share limbs, some nodes of the team: every axis has something to exchange."""

    def body(communicators: MeshCommunicators) -> tuple[MeshExecution, dict[tuple[str, str, str], int]]:
        rank = communicators.rank
        with TraceLog(tmp_path / str(rank), rank) as log:
            return CASE.share(communicators, log), communicators.received()

    for rank, (execution, received) in enumerate(mesh_together(MESH, body)):
        events = read_log(tmp_path / str(rank))
        by = {name: [e for e in events if e["category"] == name] for name in {e["category"] for e in events}}
        assert set(by) == {"compute", "wait", "communication", COUNTER}
        nodes = CASE.program.schedule.nodes_of(MESH.place(rank)[0])
        assert [e["name"] for e in by["compute"]] == [node.name for node in nodes]
        for event, node in zip(by["compute"], nodes, strict=True):
            assert event["arguments"]["operator"] == type(node.operator).__name__
            assert event["arguments"]["stage"] == node.stage
            assert event["arguments"]["level"] == CASE.program.symbols[node.outputs[0]].level
        found: dict[tuple[str, str, str], int] = {}
        for own in (e["arguments"] for e in by["communication"]):
            key = own["axis"], own["stage"], own["operation"]
            found[key] = found.get(key, 0) + own["bytes_received"]
        assert {key: count for key, count in found.items() if count} == received
        assert {axis for axis, _, _ in received} == {"token", "limb", "team"}
        busy = sum(e["end"] - e["start"] for e in by["compute"])
        waited = sum(e["end"] - e["start"] for e in by["wait"])
        total = sum(execution.seconds.values())
        assert busy <= total - sum(execution.waiting.values()) + 1e-3
        assert waited <= sum(execution.waiting.values()) + 1e-3
        alive = [e["arguments"]["alive"] for e in by[COUNTER]]
        held, keys = execution.held, execution.held.keys + execution.held.weights
        assert max(e["arguments"]["peak"] for e in by[COUNTER]) >= held.total - keys
        assert held.activations in alive


def test_progress_counts_every_node_by_its_weight():
    """A node that weighs nothing is said too; the last one ends at all."""

    class Sink:
        def __init__(self) -> None:
            self.said: list[tuple[str, float]] = []

        def advance(self, node: str, weight: float) -> None:
            self.said.append((node, weight))

    def body(communicators: MeshCommunicators) -> list[tuple[str, float]]:
        nodes, sink = CASE.program.schedule.nodes_of(communicators.group), Sink()
        weights = {node.name: float(number) for number, node in enumerate(nodes)}
        CASE.share(communicators, observer=ReportedSteps(sink, weights))
        return sink.said

    for rank, said in enumerate(mesh_together(MESH, body)):
        nodes = CASE.program.schedule.nodes_of(MESH.place(rank)[0])
        assert said == [(node.stage, float(number)) for number, node in enumerate(nodes)]


def test_every_observer_hears_every_step_and_steps_follow_each_other():
    """What a step waited and computed, over all steps, is what the stages took."""

    def body(communicators: MeshCommunicators) -> tuple[MeshExecution, list[Heard]]:
        both = [Heard(), Heard()]
        return CASE.share(communicators, observer=Observers(both)), both

    for execution, (one, other) in mesh_together(MESH, body):
        assert one.steps == other.steps
        stages: dict[str, float] = {}
        for stage, waited, began, ended in one.steps:
            assert waited <= began <= ended
            stages[stage] = stages.get(stage, 0.0) + (ended - waited)
        assert stages == dict(execution.seconds)
        for before, after in zip(one.steps, one.steps[1:], strict=False):
            assert before[3] == after[1]
