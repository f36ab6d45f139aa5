"""Starting G worker processes on this machine, hearing from them, and ending them in every case.

Each worker is `python -m <module>` (never a fork: threads and locks do not survive one). It gets its order
on standard input, which then stays open as a leash, answers in JSON lines on standard output, and finds the
other ranks through a file in a private folder, so that no port is open for the meeting; the transport
itself is bound to loopback.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aegis_fhe.errors import WorkerError
from aegis_fhe.runtime.events import DoneEvent, FailedEvent, Order, ProgressEvent
from aegis_fhe.runtime.worker_process import Exited, Message, WorkerProcess, ending

GRACE_S = 2.0  # from a failure to the verdict, and from SIGTERM to SIGKILL
LEAVE_S = 10.0  # from "done" to the exit: torch takes its time on a loaded machine


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """How to start workers; by default each has cores // world_size threads and as long as it needs."""

    world_size: int = 1
    threads: int | None = None
    timeout_s: float | None = None
    collective_timeout_s: float = 1800.0
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable

    def __post_init__(self) -> None:
        if self.world_size < 1 or (self.threads is not None and self.threads < 1):
            raise WorkerError(f"{self.world_size} workers of {self.threads} threads; both must be at least 1")

    @property
    def threads_per_worker(self) -> int:
        """Threads of each worker: as given, else max(1, cores // world_size)."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return self.threads or max(1, cores // self.world_size)


@dataclass(frozen=True, kw_only=True)
class WorkerReport:
    """What one rank brought home."""

    rank: int
    result: Any
    peak_bytes: int
    seconds: float

    @classmethod
    def of(cls, done: DoneEvent) -> WorkerReport:
        """As it was said."""
        return cls(rank=done.rank, result=done.result, peak_bytes=done.peak_bytes, seconds=done.seconds)


def launch(
    module: str,
    config: Any,
    options: LaunchOptions,
    *,
    on_progress: Callable[[ProgressEvent], None] | None = None,
    on_output: Callable[[int, str], None] | None = None,
) -> list[WorkerReport]:
    """Run `module` (which calls `run_worker`) on every rank with `config` (plain JSON data); reports by rank.

    `on_progress` is called here, in the caller's thread; `on_output` with (rank, line) of whatever a worker
    prints, in a reader's thread. Raises `WorkerError` naming the rank, its stage and its last message when
    a worker raises, dies, or is not done after `timeout_s`. No worker is alive after this returns or
    raises.
    """
    messages: queue.Queue[Message] = queue.Queue()
    workers: list[WorkerProcess] = []
    leave_s = 0.0
    with tempfile.TemporaryDirectory(prefix="aegis-") as folder:
        try:
            for rank in range(options.world_size):
                order = Order(
                    rank=rank,
                    world_size=options.world_size,
                    local_rank=rank,
                    local_size=options.world_size,
                    threads=options.threads_per_worker,
                    rendezvous=f"file://{folder}/store",
                    collective_timeout_s=options.collective_timeout_s,
                    config=config,
                )
                command = [options.python, "-m", module]
                workers.append(WorkerProcess(command, order, environment(options), messages, on_output))
            reports = supervise(workers, messages, options.timeout_s, on_progress)
            leave_s = LEAVE_S
            return reports
        finally:
            stop(workers, leave_s)


def environment(options: LaunchOptions) -> dict[str, str]:
    """The parent's environment, with the thread count (read when torch is loaded) and loopback for gloo."""
    loopback = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(options.threads_per_worker),
        **({"GLOO_SOCKET_IFNAME": loopback[0]} if loopback else {}),
        "PYTHONSAFEPATH": "1",  # a file named like a module in the current folder is not imported
        **options.environment,
    }


def supervise(
    workers: Sequence[WorkerProcess],
    messages: queue.Queue[Message],
    timeout_s: float | None,
    on_progress: Callable[[ProgressEvent], None] | None,
) -> list[WorkerReport]:
    """Listen until every rank is done; raises `WorkerError` at the first failure or when time is up."""
    deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    reports: dict[int, WorkerReport] = {}
    failures: list[FailedEvent | Exited] = []
    while len(reports) < len(workers):
        try:
            message = messages.get(timeout=min(max(deadline - time.monotonic(), 0.0), 3600.0))
        except queue.Empty:
            if failures:
                break
            if time.monotonic() >= deadline:
                raise WorkerError(timeout_text(workers, reports, timeout_s)) from None
            continue
        match message:
            case ProgressEvent():
                workers[message.rank].stage = message.stage
                if on_progress is not None:
                    on_progress(message)
            case DoneEvent():
                reports[message.rank] = WorkerReport.of(message)
            case FailedEvent():
                failures.append(message)
            case Exited() if message.rank not in reports:
                failures.append(message)
        if failures:
            if is_cause(failures[-1]):
                break
            # A rank that lost another is not the cause: wait a little for the one that is.
            deadline = min(deadline, time.monotonic() + GRACE_S)
    if failures:
        raise WorkerError(failure_text(workers, failures))
    return [reports[rank] for rank in sorted(reports)]


def is_cause(failure: FailedEvent | Exited) -> bool:
    """Whether it is an error of the rank's own, or a death that it did not announce."""
    return not failure.secondary if isinstance(failure, FailedEvent) else not failure.explained


def failure_text(workers: Sequence[WorkerProcess], failures: Sequence[FailedEvent | Exited]) -> str:
    """One line on the failure that caused the others."""
    failure = next(filter(is_cause, failures), failures[0])
    worker, silent = workers[failure.rank], ""
    if isinstance(failure, FailedEvent) and failure.secondary:
        failed = {one.rank for one in failures}
        silent = "".join(f"; {one.silence()}" for one in workers if one.rank not in failed)
    if isinstance(failure, FailedEvent):
        reason = f"{failure.error}: {failure.message}"
    else:
        reason = ending(failure.code) + worker.last_words()
    return f"worker {failure.rank} of {len(workers)}, {worker.where()}, failed: {reason}{silent}"


def timeout_text(workers: Sequence[WorkerProcess], done: Mapping[int, Any], timeout_s: float | None) -> str:
    """One line on who is not done."""
    late = [worker.silence() for worker in workers if worker.rank not in done]
    return f"not done after {timeout_s:g} s: {', '.join(late)}; allow more time or use fewer tokens"


def stop(workers: Sequence[WorkerProcess], grace_s: float) -> None:
    """Wait `grace_s` for the workers to leave, end them and their children, collect every exit status."""
    deadline = time.monotonic() + grace_s
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for worker in workers:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(deadline - time.monotonic(), 0.0))
        for worker in workers:
            worker.signal(sign)
        deadline = time.monotonic() + GRACE_S
    for worker in workers:
        worker.close()
