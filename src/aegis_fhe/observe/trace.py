"""Per-rank event logs: JSON lines, which `perfetto` merges into one file."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

COUNTER, CLOCK = "counter", "clock"
"""Categories of what is no span: numbers at a moment, and the moment at which all ranks are at one place."""


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

    def count(self, name: str, at: float, **values: float) -> None:
        """Record numbers that hold from a moment on, a curve each."""
        self.add(name, COUNTER, at, at, **values)

    def meet(self) -> None:
        """Say that all ranks leave a barrier now: clocks of several hosts are set by it."""
        now = time.time()
        self.add("start", CLOCK, now, now, host=socket.gethostname())

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


def read_log(path: Path) -> list[dict[str, Any]]:
    """The events of one log. A last line cut short by a killed worker is left out; any other unreadable line
    raises `ValueError` naming file and line.
    """
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
