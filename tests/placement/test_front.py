"""The front between bytes and seconds: its ends are the plans of either objective, and nobody is beaten."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from aegis_fhe.placement.choose import Planned, Planning
from aegis_fhe.placement.choose.planning import POINTS
from aegis_fhe.placement.compare import AEGIS, Comparison
from aegis_fhe.placement.front_report import describe_change
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.workload import Objective, Workload

from .small_workload import small_workload


@pytest.fixture(scope="module")
def workload() -> Workload:
    return small_workload()


@pytest.fixture(scope="module")
def points(workload: Workload) -> list[Planned]:
    return Comparison(workload).front()


def least(workload: Workload, objective: Objective) -> tuple[float, float]:
    found = Comparison(replace(workload, objective=objective)).verdict(AEGIS).best
    return found.timeline.seconds, float(found.traffic.most)


def test_its_ends_are_the_plans_of_least_time_and_least_bytes(workload: Workload, points: list[Planned]):
    assert len(points) > 3
    assert points[0].cost == least(workload, "time")
    assert points[-1].cost == least(workload, "bytes")


def test_no_point_beats_another(points: list[Planned]):
    for faster, slower in itertools.pairwise(p.cost for p in points):
        assert faster[0] < slower[0]
        assert faster[1] > slower[1]


def test_it_is_what_nobody_beats_of_all_that_is_evaluated(workload: Workload, points: list[Planned]):
    """POINTS of each packing's own front, both ends among them; all packings of whole ciphertexts."""
    comparison = Comparison(workload)
    planning = Planning(workload, comparison.program, comparison.seen_by)
    every = []
    for trials in planning._trials(lambda mesh, bound: mesh == Mesh(tokens=2)):
        for chunks in trials.best_chunks():
            choices = trials._choices(chunks)
            sampled, whole = choices.front(POINTS), choices.front()
            assert len(sampled) == len({c.options for c in sampled}) <= POINTS
            for end in (0, -1):  # of ways that cost the same any may be in it
                assert sampled[end].cost.seconds == pytest.approx(whole[end].cost.seconds)
                assert sampled[end].cost.bytes == whole[end].cost.bytes
            every += [trials._plan(chunks, choice).cost for choice in sampled]
    assert [p.cost for p in points] == sorted(
        c for c in set(every) if not any(e != c and e[0] <= c[0] and e[1] <= c[1] for e in every)
    )


def test_under_a_limit_every_point_fits(workload: Workload, points: list[Planned]):
    limit = min(p.evaluation.memory.total for p in points)
    assert any(p.evaluation.memory.total > limit for p in points)
    found = Comparison(replace(workload, memory_bytes=limit)).front()
    assert found
    assert all(p.evaluation.memory.total <= limit for p in found)


def test_on_one_device_it_is_a_point_and_without_memory_nothing(workload: Workload):
    alone = replace(workload, devices=1)
    assert [p.cost[1] for p in Comparison(alone).front()] == [0]
    assert Comparison(replace(alone, memory_bytes=1)).front() == []


def test_changes_are_told_by_operator(points: list[Planned]):
    assert describe_change(points[0], points[0]) == ""
    for before, after in itertools.pairwise(points):
        text = describe_change(before, after)
        for name, way in after.ways.items():
            changed = before.ways.get(name) != way
            assert not changed or f"{way}: " in text
        assert text
