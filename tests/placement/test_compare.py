"""Verdicts under a memory limit, what speed-up is against, and cures that were computed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aegis_fhe.placement.compare import Comparison
from aegis_fhe.placement.cure import find_cure
from aegis_fhe.placement.report import describe_misfit
from aegis_fhe.placement.workload import Workload

from .small_workload import small_workload


@pytest.fixture(scope="module")
def workload() -> Workload:
    return small_workload()


def test_speedup_is_against_one_device_without_a_limit(workload: Workload):
    comparison = Comparison(workload)
    alone = Comparison(replace(workload, devices=1))
    free, one_device = comparison.verdict("single"), comparison.one_device
    planned = alone.verdict("aegis")
    assert free.fits
    fastest = min(free.best.timeline.seconds, planned.best.timeline.seconds)
    assert one_device.fastest.timeline.seconds == fastest
    assert one_device.single.memory == free.best.memory
    assert one_device.memory_share(free.best) == {"with_keys": 1, "without_keys": 1}
    limit = one_device.single.memory.total - 1
    tight = Comparison(replace(workload, memory_bytes=limit, objective="bytes"))
    single, token = tight.verdict("single"), tight.verdict("token")
    assert tight.one_device.fastest.timeline.seconds == fastest
    assert single.best.timeline.seconds > fastest
    assert tight.one_device.memory_share(single.best)["with_keys"] < 1
    assert one_device.speedup(single.best) < 1
    assert one_device.speedup(token.best) == fastest / token.best.timeline.seconds


def test_a_cure_is_a_plan_that_fits(workload: Workload):
    """With memory that the strategy has on twice as many devices, but not on these."""
    needed = Comparison(workload).verdict("limb_parallel").best.memory.total
    doubled = Comparison(replace(workload, devices=4)).verdict("limb_parallel").best.memory.total
    assert doubled < needed
    limits = [e.memory.total for e in _all(Comparison(workload), "limb_parallel")]
    tight = replace(workload, memory_bytes=min(limits) - 1)
    verdict = Comparison(tight).verdict("limb_parallel")
    assert not verdict.fits
    cure = find_cure("limb_parallel", tight, {"limb_parallel": verdict})
    assert cure is not None
    assert (cure.strategy, cure.devices) == ("limb_parallel", 4)
    assert cure.memory_bytes <= tight.memory_bytes
    text = describe_misfit("limb_parallel", {"limb_parallel": verdict}, tight)
    assert "limb_parallel on 4 devices fits with" in text


def test_no_cure_is_made_up(workload: Workload):
    tight = replace(workload, memory_bytes=1)
    verdict = Comparison(tight).verdict("token")
    assert find_cure("token", tight, {"token": verdict}) is None
    assert "fits with" not in describe_misfit("token", {"token": verdict}, tight)


def _all(comparison: Comparison, name: str) -> list:
    """Every rendering, with as few babies as are ever tried."""
    limited = Comparison(replace(comparison.workload, memory_bytes=0))
    return [e for r in limited.strategies()[name]() for e in limited._evaluations(r)]
