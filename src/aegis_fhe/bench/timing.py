"""Times of operations: quantiles of many runs, ours and a peer's in turn, so that noise meets both alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aegis_fhe.runtime.gpus import finish

PROCESSOR = torch.device("cpu")

# An operation is repeated until its runs have taken about this long, and never more than MOST_RUNS times.
SPAN_MS = 200.0
MOST_RUNS = 200

# OpenMP threads that have no work spin for some milliseconds before they sleep, on cores the next run needs.
SETTLE_S = 0.01


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Minimum, median and 90 % quantile of one operation's runs, milliseconds."""

    min: float
    median: float
    p90: float


def quantiles(samples_ms: Sequence[float]) -> Quantiles:
    """Quantiles by linear interpolation between the order statistics. At least one sample is needed."""
    least, median, p90 = np.quantile(np.asarray(samples_ms), [0.0, 0.5, 0.9])
    return Quantiles(min=float(least), median=float(median), p90=float(p90))


def milliseconds(run: Callable[[], object], device: torch.device = PROCESSOR) -> float:
    """Wall-clock time of one call, on a GPU until that has done it. What it returns is released after the
    clock has stopped.
    """
    finish(device)
    start_ns = time.perf_counter_ns()
    result = run()
    finish(device)
    stop_ns = time.perf_counter_ns()
    del result
    return (stop_ns - start_ns) / 1e6


def run_count(estimate_ms: float, least: int) -> int:
    """How often to run an operation that takes about `estimate_ms`: short ones more often than `least`."""
    wanted = math.ceil(SPAN_MS / estimate_ms) if estimate_ms > 0 else MOST_RUNS
    return max(least, min(wanted, MOST_RUNS))


def alternate(
    ours: Callable[[], float], theirs: Callable[[], float] | None, runs: int, *, settle_s: float = 0.0
) -> tuple[list[float], list[float]]:
    """`runs` measurements of each, in turn: ours, theirs, ours, theirs. Each callable returns its own time.

    A disturbance (another process, a slower clock) that lasts longer than a run meets both. Each waits
    `settle_s` first. Out: the times of ours and of theirs, the second empty without a peer.
    """
    sides = [ours] if theirs is None else [ours, theirs]
    times_ms: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for side, side_ms in zip(sides, times_ms, strict=False):
            if settle_s:
                time.sleep(settle_s)
            side_ms.append(side())
    return times_ms
