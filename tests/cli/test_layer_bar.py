"""The bar of a plan that runs shows the slowest device, and promises a time only where one was measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from aegis_fhe.cli.layer_bar import LayerBar
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.runtime.mesh.planned import PlannedProgram


def bar(*, measured: bool, quiet: bool = False) -> LayerBar:
    """Of two groups, predicted to take 10 and 40 s."""
    device = SimpleNamespace(measured=measured)
    timelines = [SimpleNamespace(seconds=seconds) for seconds in (10.0, 40.0)]
    planned: Any = SimpleNamespace(timelines=timelines, machine=SimpleNamespace(device=device))
    return LayerBar(cast(PlannedProgram, planned), quiet=quiet)


def shown(one: LayerBar, capsys: pytest.CaptureFixture[str]) -> str:
    with one:
        one.report(ProgressEvent(rank=0, stage="load", fraction=0.0))
        one.report(ProgressEvent(rank=1, stage="attend", fraction=0.25))
        one.report(ProgressEvent(rank=0, stage="refresh", fraction=0.75))
    return capsys.readouterr().err


def test_the_slowest_device_counts_and_what_is_left_is_its_share(capsys: pytest.CaptureFixture[str]):
    one = bar(measured=True)
    assert "about 30.00 s left" in shown(one, capsys)
    assert one.progress.fraction == 0.25


def test_a_projection_promises_nothing(capsys: pytest.CaptureFixture[str]):
    text = shown(bar(measured=False), capsys)
    assert "25.0 %" in text
    assert "left" not in text


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]):
    assert shown(bar(measured=True, quiet=True), capsys) == ""


def test_nothing_is_shown_before_a_worker_has_spoken(capsys: pytest.CaptureFixture[str]):
    with bar(measured=True):
        pass
    assert capsys.readouterr().err == ""
