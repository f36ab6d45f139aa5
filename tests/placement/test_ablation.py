"""Timelines of a plan without one way to hide exchanges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aegis_fhe.placement.ablation import OVERLAP
from aegis_fhe.placement.compare import AEGIS, Comparison
from aegis_fhe.placement.cost import load_network
from aegis_fhe.placement.evaluate import Machine

from .small_workload import small_workload


@pytest.mark.parametrize("link", ["a100-nvlink", "pcie4"])
def test_a_plan_without_its_rewrites_takes_longer(link: str):
    """Which of them it has is the planner's choice; to wait at every round is slower over every link."""
    workload = small_workload()
    machine = Machine(device=workload.machine.device, network=load_network(link))
    comparison = Comparison(replace(workload, machine=machine))
    best = comparison.verdict(AEGIS).best
    found = comparison.ablation(best)
    assert found.planned == best.timeline
    assert found.without[OVERLAP] == best.blocking
    assert found.without[OVERLAP].seconds > found.planned.seconds
    for name, timeline in found.without.items():
        assert timeline.seconds >= found.planned.seconds * (1 - 1e-3), name
        if name != OVERLAP:  # sums that own terms add are computed too
            assert sum(timeline.busy.values()) == pytest.approx(sum(found.planned.busy.values()), rel=0.01)


def test_one_device_has_nothing_to_hide():
    comparison = Comparison(small_workload())
    found = comparison.ablation(comparison.verdict("single").best)
    assert set(found.without) == {OVERLAP}
    assert found.without[OVERLAP].seconds == found.planned.seconds
