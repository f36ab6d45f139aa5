"""Predicted and measured seconds of stages by hand: parts, their difference, and which part makes it."""

from __future__ import annotations

import pytest

from aegis_fhe.bench.stage_comparison import TOTAL, StageComparison, StageSeconds, compared
from aegis_fhe.placement.evaluate import STAGES
from aegis_fhe.placement.shape_memory import DeviceMemory
from aegis_fhe.placement.timeline import Timeline
from aegis_fhe.service.plan_worker import DeviceReport

PREDICTED = Timeline(
    seconds=13.0,
    busy={"qkv": 1.0, "attend": 4.0, "refresh": 2.0},
    exposed={"attend": 3.0, "refresh": 3.0},
    inside={"refresh": 2.0},
)
MEASURED = DeviceReport(
    received=[],
    seconds={"qkv": 2.0, "attend": 9.0, "refresh": 7.5},
    waiting={"attend": 3.5, "refresh": 0.5},
    exchanging={"refresh": 5.0},
    run_seconds=18.5,
    processor_seconds=18.5,
    held=DeviceMemory(keys=0, weights=0, activations=0, workspace=0),
    threads=1,
    kernels="portable",
    secret_modules=[],
)


def test_parts_of_stages_by_hand():
    found = compared(PREDICTED, MEASURED)
    assert list(found) == [*STAGES, TOTAL]
    attention, bootstraps = found["attention"], found["bootstraps"]
    assert attention.predicted == StageSeconds(computing=5.0, waiting=3.0, exchanging=0.0)
    assert attention.measured == StageSeconds(computing=7.5, waiting=3.5, exchanging=0.0)
    assert bootstraps.predicted == StageSeconds(computing=2.0, waiting=1.0, exchanging=2.0)
    assert bootstraps.measured == StageSeconds(computing=2.0, waiting=0.5, exchanging=5.0)
    assert attention.explained_by == "computing"
    assert bootstraps.explained_by == "exchanging"
    assert bootstraps.difference == StageSeconds(computing=0.0, waiting=-0.5, exchanging=3.0)


def test_all_stages_are_the_whole_run():
    total = compared(PREDICTED, MEASURED)[TOTAL]
    assert total.predicted.total == PREDICTED.seconds
    assert total.measured.total == MEASURED.run_seconds
    facts = total.facts()
    assert facts["difference"][TOTAL] == 5.5
    assert facts["explained_by"] == "exchanging"


@pytest.mark.parametrize(
    ("computing", "waiting", "exchanging", "part"),
    [
        (3.0, -1.0, 0.0, "computing"),  # longer, though it waited less
        (1.0, -3.0, 0.0, "waiting"),  # shorter, though it computed longer
        (0.5, 0.25, 0.75, "exchanging"),
    ],
)
def test_the_part_that_differs_as_the_whole_does_explains_it(
    computing: float, waiting: float, exchanging: float, part: str
):
    before = StageSeconds(computing=10.0, waiting=10.0, exchanging=10.0)
    after = before + StageSeconds(computing=computing, waiting=waiting, exchanging=exchanging)
    assert StageComparison(predicted=before, measured=after).explained_by == part
