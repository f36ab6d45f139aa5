"""The bar moves by weight, promises a remaining time only when calibrated, and can be silent."""

from __future__ import annotations

import io
import json

from rich.console import Console

from aegis_fhe.observe.progress import JsonLinesProgress, Progress


def shown(*, quiet: bool = False, seconds_per_weight: float | None = None) -> str:
    console = Console(file=(text := io.StringIO()), force_terminal=True, width=100, color_system=None)
    with Progress(10.0, quiet=quiet, seconds_per_weight=seconds_per_weight, console=console) as progress:
        progress.advance("attention.scores", 2.5)
        assert progress.fraction == 0.25
    return text.getvalue()


def test_stage_and_fraction_are_shown() -> None:
    text = shown()
    assert "attention.scores" in text
    assert "25.0 %" in text
    assert "left" not in text


def test_remaining_time_needs_calibrated_costs() -> None:
    assert "about 30.00 s left" in shown(seconds_per_weight=4.0)


def test_quiet_shows_nothing() -> None:
    assert shown(quiet=True) == ""


def test_of_several_ranks_the_slowest_counts_and_never_goes_back() -> None:
    progress = Progress(1.0, quiet=True)
    for rank, fraction, expected in [(0, 0.5, 0.5), (1, 0.2, 0.5), (1, 0.7, 0.5), (0, 0.9, 0.7)]:
        progress.report(rank, "softmax", fraction)
        assert progress.fraction == expected


def test_json_lines_are_thinned_but_the_end_is_said() -> None:
    sink = JsonLinesProgress(3.0, stream := io.StringIO(), rank=2, interval_s=1000.0)
    for weight in (0.1,) * 30:
        sink.advance("node", weight)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["fraction"] for line in lines] == [0.1 / 3.0, 1.0]
    assert lines[-1] == {"event": "progress", "rank": 2, "stage": "node", "fraction": 1.0, "message": ""}
