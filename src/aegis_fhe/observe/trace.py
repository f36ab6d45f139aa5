"""Per-rank event logs (JSON lines), merged into one file for Perfetto (Chrome trace format)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any


class TraceLog:
    """Appends one JSON line per finished span: name, category, rank, start and end in UNIX seconds,
    arguments.

    Each line is written whole and at once, so a killed worker loses at most its last span.
    """

    def __init__(self, path: str | os.PathLike[str], rank: int) -> None:
        self.rank = rank
        self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 (closed by close)

    def add(self, name: str, category: str, start: float, end: float, **arguments: Any) -> None:
        """Record a span that has ended."""
        span = {"name": name, "category": category, "rank": self.rank, "start": start, "end": end}
        self._file.write(json.dumps({**span, "arguments": arguments}) + "\n")

    @contextmanager
    def span(self, name: str, category: str, **arguments: Any) -> Iterator[None]:
        """Record the time of a with-block, also when it raises."""
        start = time.time()
        try:
            yield
        finally:
            self.add(name, category, start, time.time(), **arguments)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> TraceLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def merge_traces(logs: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str]) -> int:
    """Write one Chrome trace JSON (open it at ui.perfetto.dev): a process per rank, a track per category.

    Times count from the earliest span. A last line cut short by a killed worker is left out; any other
    unreadable line raises `ValueError` naming file and line. Returns the number of spans.
    """
    spans = [span for log in logs for span in read_log(Path(log))]
    origin = min((span["start"] for span in spans), default=0.0)
    tracks = {name: number for number, name in enumerate(sorted({span["category"] for span in spans}))}
    events: list[dict[str, Any]] = []
    for rank in sorted({span["rank"] for span in spans}):
        events.append({"ph": "M", "name": "process_name", "pid": rank, "args": {"name": f"rank {rank}"}})
        events += [
            {"ph": "M", "name": "thread_name", "pid": rank, "tid": number, "args": {"name": name}}
            for name, number in tracks.items()
        ]
    events += [
        {
            "ph": "X",
            "name": span["name"],
            "cat": span["category"],
            "pid": span["rank"],
            "tid": tracks[span["category"]],
            "ts": (span["start"] - origin) * 1e6,
            "dur": (span["end"] - span["start"]) * 1e6,
            "args": span["arguments"],
        }
        for span in sorted(spans, key=lambda span: (span["start"], span["rank"]))
    ]
    Path(output).write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}), encoding="utf-8")
    return len(spans)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The spans of one log; see `merge_traces` for what is refused."""
    lines = path.read_text(encoding="utf-8").split("\n")
    spans: list[dict[str, Any]] = []
    for number, line in enumerate(lines[:-1], 1):  # the last one is empty, or was cut short
        try:
            span = json.loads(line)
            spans.append(
                {key: span[key] for key in ("name", "category", "rank", "start", "end", "arguments")}
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}, line {number} is not a trace event ({error}); delete the line"
            ) from None
    return spans
