"""Per-rank logs become one Chrome trace; a killed worker's last line does not spoil it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aegis_fhe.observe.trace import TraceLog, merge_traces


def test_ranks_become_processes_and_categories_tracks(tmp_path: Path) -> None:
    for rank in (0, 1):
        with TraceLog(tmp_path / str(rank), rank) as log:
            log.add("scores", "compute", 100.0 + rank, 100.5 + rank, level=7)
            log.add("kv", "collective", 100.25, 100.5)
    with (tmp_path / "1").open("a") as file:
        file.write('{"name": "cut sho')
    assert merge_traces([tmp_path / "0", tmp_path / "1"], tmp_path / "trace.json") == 4
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert [(s["name"], s["pid"], s["ts"], s["dur"]) for s in spans] == [
        ("scores", 0, 0.0, 0.5e6),
        ("kv", 0, 0.25e6, 0.25e6),
        ("kv", 1, 0.25e6, 0.25e6),
        ("scores", 1, 1e6, 0.5e6),
    ]
    assert spans[0]["args"] == {"level": 7}
    assert spans[0]["tid"] != spans[1]["tid"]
    names = {(e["pid"], e["args"]["name"]) for e in events if e["ph"] == "M"}
    assert names >= {(0, "rank 0"), (1, "rank 1"), (0, "compute"), (1, "collective")}


def test_span_is_logged_when_its_block_raises(tmp_path: Path) -> None:
    def failing() -> None:
        with TraceLog(tmp_path / "log", 0) as log, log.span("node", "compute"):
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert merge_traces([tmp_path / "log"], tmp_path / "trace.json") == 1


def test_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"name": 1}\n')
    with pytest.raises(ValueError, match="log, line 1"):
        merge_traces([tmp_path / "log"], tmp_path / "trace.json")


def test_no_spans_at_all(tmp_path: Path) -> None:
    assert merge_traces([], tmp_path / "trace.json") == 0
