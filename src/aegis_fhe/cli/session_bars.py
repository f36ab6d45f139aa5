"""An encrypted session for a terminal: a warning where there is no security, bars, what it took."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import typer

from aegis_fhe.ckks.key_request import KeyRequest
from aegis_fhe.ckks.key_shape import half_bytes, parameters_of
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.security import STANDARD_BITS
from aegis_fhe.observe.progress import Progress
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.runtime.memory import peak_bytes
from aegis_fhe.service.session import SessionResult

Advance = Callable[[str, float], None]
OnProgress = Callable[[ProgressEvent], None]


def warn_of_security(params: Parameters) -> None:
    """Says so where anyone can read what is encrypted."""
    if params.security_bits < STANDARD_BITS:
        typer.echo("the parameters are INSECURE: anyone can read what is encrypted under them", err=True)


def print_worker_line(rank: int, line: str) -> None:
    """What a worker printed, on standard error."""
    print(f"worker {rank}: {line}", file=sys.stderr)


def session_facts(session: SessionResult) -> dict[str, Any]:
    """What any session took: seconds, memory, files; digests of its results."""
    report = session.report
    return {
        "seconds_by_step": {name: round(value, 3) for name, value in session.seconds.items()},
        "seconds_by_stage": {name: round(value, 3) for name, value in report.seconds.items()},
        "peak_memory_bytes_by_worker": report.peak_bytes,
        "peak_memory_bytes_client": peak_bytes(),
        "file_bytes": session.file_bytes,
        "result_digests": [result.digest for result in session.results],
    }


def run_under_bars(
    params: Parameters,
    requests: Sequence[KeyRequest],
    work: float,
    start: Callable[[Advance, OnProgress], SessionResult],
    *,
    quiet: bool,
) -> SessionResult:
    """What `start` returns, which reports its keys and its progress. work: of the slowest worker.

    Two bars in turn: bytes of keys at the client, then the workers' operations by their cost.
    """
    key_bytes = sum(half_bytes(parameters_of(params, request), request.level) for request in requests)
    with ExitStack() as open_bars:
        keys = open_bars.enter_context(Progress(float(key_bytes), quiet=quiet))
        bars = [keys]

        def on_progress(event: ProgressEvent) -> None:
            if bars[-1] is keys:
                open_bars.close()  # one live bar at a time
                bars.append(open_bars.enter_context(Progress(work, quiet=quiet)))
            bars[-1].report(event.rank, event.stage, event.fraction)

        return start(keys.advance, on_progress)
