"""Event logs of all ranks as one file for Perfetto (Chrome's trace format; open it at ui.perfetto.dev)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from aegis_fhe.observe.trace import CLOCK, COUNTER, read_log

Event: TypeAlias = Mapping[str, Any]
LANES = ("compute", "wait", "communication")
"""Categories in this order from the top, others below."""


def merge_traces(logs: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str]) -> int:
    """Write one JSON: a process per rank, a lane per category, a curve per counter.

    Spans of a category that overlap lie in lanes of their own, "communication", "communication 2" and so on:
    in a lane no two do. Times count from the earliest event. Raises as `read_log`. Returns the number of
    spans.
    """
    events = _on_one_clock([event for log in logs for event in read_log(Path(log))])
    origin = min((event["start"] for event in events), default=0.0)
    spans = [event for event in events if event["category"] not in (COUNTER, CLOCK)]
    counters = [event for event in events if event["category"] == COUNTER]
    written = [
        one
        for rank in sorted({event["rank"] for event in events})
        for one in _process(rank, (span for span in spans if span["rank"] == rank), origin)
    ]
    written += [
        {"ph": "C", "name": one["name"], "pid": one["rank"], "ts": _micro(one["start"] - origin)}
        | {"args": one["arguments"]}
        for one in counters
    ]
    text = json.dumps({"traceEvents": written, "displayTimeUnit": "ms"})
    Path(output).write_text(text, encoding="utf-8")
    return len(spans)


def _on_one_clock(events: Sequence[Event]) -> list[Event]:
    """Hosts' clocks set by the barrier that all ranks left together, to that of the first rank's host.

    Of a host the rank that left first counts: the others were only woken later. Ranks of one host share a
    clock, and are left as they are.
    """
    marks = sorted((e for e in events if e["category"] == CLOCK), key=lambda e: (e["rank"], e["start"]))
    host_of = {mark["rank"]: mark["arguments"]["host"] for mark in marks}
    left: dict[str, float] = {}
    for mark in marks:
        host = mark["arguments"]["host"]
        left[host] = min(mark["start"], left.get(host, mark["start"]))
    if len(left) < 2:
        return list(events)
    first = left[host_of[min(host_of)]]
    shift = {rank: first - left[host] for rank, host in host_of.items()}
    return [_shifted(event, shift.get(event["rank"], 0.0)) for event in events]


def _shifted(event: Event, seconds: float) -> Event:
    return {**event, "start": event["start"] + seconds, "end": event["end"] + seconds}


def _process(rank: int, spans: Iterable[Event], origin: float) -> Iterator[dict[str, Any]]:
    """One rank: its name, its lanes and their spans."""
    own = sorted(spans, key=lambda span: (span["start"], span["end"]))
    categories = {span["category"] for span in own}
    order = [name for name in LANES if name in categories] + sorted(categories - set(LANES))
    yield {"ph": "M", "name": "process_name", "pid": rank, "args": {"name": f"rank {rank}"}}
    track = 0
    for category in order:
        for number, lane in enumerate(_lanes(span for span in own if span["category"] == category), 1):
            name = category if number == 1 else f"{category} {number}"
            common = {"pid": rank, "tid": track}
            yield {"ph": "M", "name": "thread_name", **common, "args": {"name": name}}
            yield {"ph": "M", "name": "thread_sort_index", **common, "args": {"sort_index": track}}
            for span in lane:
                yield {
                    "ph": "X",
                    "name": span["name"],
                    "cat": category,
                    **common,
                    "ts": _micro(span["start"] - origin),
                    "dur": _micro(span["end"] - span["start"]),
                    "args": span["arguments"],
                }
            track += 1


def _lanes(spans: Iterable[Event]) -> list[list[Event]]:
    """Spans in the order of their starts, each in the first lane that is free by then."""
    lanes: list[list[Event]] = []
    for span in spans:
        free = next((lane for lane in lanes if lane[-1]["end"] <= span["start"]), None)
        if free is None:
            lanes.append([span])
        else:
            free.append(span)
    return lanes


def _micro(seconds: float) -> float:
    return seconds * 1e6
