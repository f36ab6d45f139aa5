"""Every device of a plan measured by one: medians over turns, and what is projected from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from aegis_fhe.bench.planned_run import DrawnProgram
from aegis_fhe.bench.replay import RankRun, ReplayedWorld, measure_replays
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.shape_memory import DeviceMemory
from placement.test_replayed_seconds import RANKS, WHERE, planned

HELD = DeviceMemory(keys=1, weights=2, activations=3, workspace=4)


def run_of(seconds: dict[str, float]) -> RankRun:
    return RankRun(seconds=seconds, written_seconds=0.0, received={}, sent_bytes=0, held=HELD)


@dataclass
class Measured:
    """A world whose projection is said."""

    devices: int
    seconds: float
    order: list[int] = field(default_factory=list)

    def run(self, *, threads: int, say: Any) -> None:
        self.order.append(self.devices)

    def facts(self) -> dict[str, Any]:
        return {"devices": self.devices, "seconds": self.seconds}


def test_a_node_counts_with_its_median_over_turns():
    """Each node's own: a disturbance of one turn, on whatever node, counts for nothing."""
    turns = [
        [{"a": 1.0, "b": 9.0}, {"a": 4.0}],
        [{"a": 7.0, "b": 2.0}, {"a": 5.0}],
        [{"a": 2.0, "b": 3.0}] * 2,
    ]
    world = ReplayedWorld(cast("DrawnProgram", None), [[run_of(own) for own in turn] for turn in turns])
    assert world.node_seconds == [{"a": 2.0, "b": 3.0}, {"a": 4.0}]


def test_the_projection_is_the_plans_timeline_of_what_was_measured():
    """Links of the plan's machine, nodes of every rank."""
    asked: list[Any] = []

    def timelines_with(seconds_of: Any, network: Any) -> list[Any]:
        asked.extend([seconds_of, network])
        return [SimpleNamespace(seconds=2.0), SimpleNamespace(seconds=3.0)]

    plan = planned(Mesh(tokens=2), WHERE)
    program = SimpleNamespace(
        prediction=SimpleNamespace(plan=plan),
        machine=SimpleNamespace(network="links"),
        timelines_with=timelines_with,
    )
    drawn = cast("DrawnProgram", SimpleNamespace(planned=program))
    own = [run_of({name: float(ms) for name, ms in rank.items()}) for rank in RANKS]
    assert [one.seconds for one in ReplayedWorld(drawn, [own]).projected] == [2.0, 3.0]
    seconds_of, network = asked
    assert network == "links"
    (a, *_) = plan.nodes_of(0)
    assert seconds_of(a, (0, 1)) == [3.0, 5.0]


def test_worlds_take_turns_and_gains_are_against_one_device():
    order = list[int]()
    worlds = [Measured(1, 12.0, order), Measured(2, 6.0, order), Measured(4, 4.0, order)]
    found = measure_replays(cast("list[ReplayedWorld]", worlds), runs=2, threads=1, say=lambda line: None)
    assert order == [1, 2, 4, 1, 2, 4]
    assert found["speedup"] == {"1": 1.0, "2": 2.0, "4": 3.0}
    assert found["efficiency"] == {"1": 1.0, "2": 1.0, "4": 0.75}
