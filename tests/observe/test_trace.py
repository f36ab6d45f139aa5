"""Per-rank logs become one Chrome trace; a killed worker's last line does not spoil it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aegis_fhe.observe.perfetto import merge_traces
from aegis_fhe.observe.trace import CLOCK, TraceLog


def test_ranks_become_processes_and_categories_tracks(tmp_path: Path) -> None:
    for rank in (0, 1):
        with TraceLog(tmp_path / str(rank), rank) as log:
            log.add("scores", "compute", 100.0 + rank, 100.5 + rank, level=7)
            log.add("kv", "collective", 100.25, 100.5)
    with (tmp_path / "1").open("a") as file:
        file.write('{"name": "cut sho')
    assert merge_traces([tmp_path / "0", tmp_path / "1"], tmp_path / "trace.json") == 4
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    spans = sorted((e for e in events if e["ph"] == "X"), key=lambda e: (e["ts"], e["pid"]))
    assert [(s["name"], s["pid"], s["ts"], s["dur"]) for s in spans] == [
        ("scores", 0, 0.0, 0.5e6),
        ("kv", 0, 0.25e6, 0.25e6),
        ("kv", 1, 0.25e6, 0.25e6),
        ("scores", 1, 1e6, 0.5e6),
    ]
    assert spans[0]["args"] == {"level": 7}
    assert spans[0]["tid"] != spans[1]["tid"]
    names = {(e["pid"], e["args"]["name"]) for e in events if e["name"] in ("process_name", "thread_name")}
    assert names >= {(0, "rank 0"), (1, "rank 1"), (0, "compute"), (1, "collective")}


def lanes_of(path: Path) -> dict[str, list[tuple[float, float]]]:
    """(start, end) in microseconds by the name of the lane, of a trace of one rank."""
    events = json.loads(path.read_text())["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names.values()}
    for event in events:
        if event["ph"] == "X":
            found[names[event["tid"]]].append((event["ts"], event["ts"] + event["dur"]))
    return found


def test_what_overlaps_lies_in_lanes_of_its_own_in_a_known_order(tmp_path: Path) -> None:
    with TraceLog(tmp_path / "log", 0) as log:
        for start, end in ((2.0, 4.0), (0.0, 3.0), (3.0, 5.0), (2.5, 3.5)):
            log.add("moves", "communication", start, end)
        log.add("other", "a category of no lane", 1.0, 2.0)
        log.add("node", "compute", 1.0, 2.0)
    merge_traces([tmp_path / "log"], tmp_path / "trace.json")
    assert lanes_of(tmp_path / "trace.json") == {
        "compute": [(1e6, 2e6)],
        "communication": [(0.0, 3e6), (3e6, 5e6)],
        "communication 2": [(2e6, 4e6)],
        "communication 3": [(2.5e6, 3.5e6)],
        "a category of no lane": [(1e6, 2e6)],
    }


def test_numbers_at_a_moment_are_a_curve(tmp_path: Path) -> None:
    with TraceLog(tmp_path / "log", 3) as log:
        log.add("node", "compute", 10.0, 11.0)
        log.count("memory", 11.0, in_use=5, alive=4)
    assert merge_traces([tmp_path / "log"], tmp_path / "trace.json") == 1
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    (curve,) = (event for event in events if event["ph"] == "C")
    assert curve == {"ph": "C", "name": "memory", "pid": 3, "ts": 1e6, "args": {"in_use": 5, "alive": 4}}


def test_clocks_of_several_hosts_are_set_by_the_barrier_that_all_left(tmp_path: Path) -> None:
    """Ranks 0 and 1 share a clock, ranks 2 and 3 one that is 50 s ahead; rank 1 and rank 2 woke late."""
    places = [("a", 100.0, 0.0), ("a", 100.25, 0.0), ("b", 150.5, 50.0), ("b", 150.0, 50.0)]
    for rank, (host, left, ahead) in enumerate(places):
        with TraceLog(tmp_path / str(rank), rank) as log:
            log.add("start", CLOCK, left, left, host=host)
            log.add("node", "compute", 101.0 + ahead, 102.0 + ahead)
    merge_traces([tmp_path / str(rank) for rank in range(4)], tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    spans = {event["pid"]: event["ts"] for event in events if event["ph"] == "X"}
    assert spans == dict.fromkeys(range(4), 1e6)


def test_on_one_host_no_clock_is_touched(tmp_path: Path) -> None:
    for rank, late in enumerate((0.0, 0.25)):
        with TraceLog(tmp_path / str(rank), rank) as log:
            log.meet()
            log.add("node", "compute", 101.0 + late, 102.0)
    merge_traces([tmp_path / "0", tmp_path / "1"], tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [event["ts"] for event in events if event["ph"] == "X"] == [0.0, 0.25e6]


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
