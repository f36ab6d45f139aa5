"""The worker's side of torch elastic: the same body as under `launch`, its order made of the environment."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from aegis_fhe.runtime.events import DoneEvent, Order
from aegis_fhe.runtime.worker import WorkerContext, serve

PR_SET_PDEATHSIG = 1  # prctl(2)


def run_elastic_worker(
    ordered: Callable[[], Order],
    body: Callable[[WorkerContext], Any],
    done: Callable[[DoneEvent], None],
    *,
    forbidden: Iterable[str] = (),
) -> None:
    """Run `body` once, as `run_worker`. ordered: this rank's order. done: keeps the report of a rank that is
    done, which no pipe carries: an agent joins the output of its ranks.

    When the agent disappears, so does this process, a stopped one too.
    """
    end_with_agent()
    serve(ordered, body, lambda stream, event: done(event), forbidden)


def end_with_agent() -> None:
    """Linux alone: SIGKILL when the parent ends."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
