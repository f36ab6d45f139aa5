"""Progress of work that is known in advance: weights are operation costs, so the bar moves as time does."""

from __future__ import annotations

import json
import time
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from aegis_fhe.observe.table import format_seconds


class ProgressSink(Protocol):
    """Where an executor says that a node is done."""

    def advance(self, node: str, weight: float) -> None:
        """`node` has been done; it was worth `weight` of the total."""


class Progress:
    """A bar on the terminal: stage, fraction, elapsed time; a context manager.

    Remaining time is shown only with `seconds_per_weight`, a calibrated cost: a guess from the first nodes
    would be wrong. `quiet` shows nothing at all. The bar goes to stderr, results to stdout.
    """

    def __init__(
        self,
        total_weight: float,
        *,
        quiet: bool = False,
        seconds_per_weight: float | None = None,
        console: Console | None = None,
    ) -> None:
        assert total_weight > 0, total_weight
        self.total_weight = total_weight
        self.done_weight = 0.0
        self._seconds_per_weight = seconds_per_weight
        self._ranks: dict[int, float] = {}
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:5.1f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[remaining]}"),
            console=console or Console(stderr=True),
            disable=quiet,
            expand=True,
        )
        self._task = self._bar.add_task("", total=total_weight, remaining="")

    @property
    def fraction(self) -> float:
        """Part of the total weight that is done, 0 to 1."""
        return min(self.done_weight / self.total_weight, 1.0)

    def advance(self, node: str, weight: float) -> None:
        """`node` has been done; it was worth `weight` of the total."""
        self._show(node, self.done_weight + weight)

    def report(self, rank: int, stage: str, fraction: float) -> None:
        """What worker `rank` says; the bar shows the slowest rank heard so far, and never goes back."""
        self._ranks[rank] = fraction
        self._show(stage, max(self.done_weight, min(self._ranks.values()) * self.total_weight))

    def _show(self, stage: str, done_weight: float) -> None:
        self.done_weight = done_weight
        remaining = ""
        if self._seconds_per_weight is not None:
            left = max(self.total_weight - done_weight, 0.0) * self._seconds_per_weight
            remaining = f"about {format_seconds(left)} left"
        self._bar.update(self._task, description=stage, completed=done_weight, remaining=remaining)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class JsonLinesProgress:
    """The same for a worker: JSON lines {"event": "progress", "rank", "stage", "fraction", "message"} on a
    stream.

    At most one line every `interval_s` seconds, the last node always.
    """

    def __init__(
        self, total_weight: float, stream: TextIO, *, rank: int = 0, interval_s: float = 0.1
    ) -> None:
        assert total_weight > 0, total_weight
        self.total_weight = total_weight
        self.done_weight = 0.0
        self._stream = stream
        self._rank = rank
        self._interval_s = interval_s
        self._last_s = float("-inf")

    def advance(self, node: str, weight: float) -> None:
        """`node` has been done; it was worth `weight` of the total."""
        self.done_weight += weight
        now_s = time.monotonic()
        # A relative slack of 1e-9: sums of weights in another order end next to the total, not on it.
        finished = self.done_weight >= self.total_weight * (1 - 1e-9)
        if finished or now_s - self._last_s >= self._interval_s:
            self._last_s = now_s
            write_progress(
                self._stream, self._rank, node, 1.0 if finished else self.done_weight / self.total_weight
            )


def write_progress(stream: TextIO, rank: int, stage: str, fraction: float, message: str = "") -> None:
    """Write one progress line and flush it."""
    line = {"event": "progress", "rank": rank, "stage": stage, "fraction": fraction, "message": message}
    stream.write(json.dumps(line) + "\n")
    stream.flush()
