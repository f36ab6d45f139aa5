"""Ranks that are started again, by torch elastic in a process of its own, which is ended as workers are."""

from __future__ import annotations

import queue
import signal
import tempfile
from collections.abc import Callable, Sequence

from aegis_fhe.errors import WorkerError
from aegis_fhe.runtime.events import FailedEvent, LostEvent, Order, ProgressEvent
from aegis_fhe.runtime.launch import LaunchOptions, environment, stop
from aegis_fhe.runtime.worker_process import Exited, Message, WorkerProcess, ending

AGENT_MODULE = "aegis_fhe.runtime.elastic_agent"


def launch_elastic(
    module: str,
    arguments: Sequence[str],
    options: LaunchOptions,
    restarts: int,
    *,
    on_progress: Callable[[ProgressEvent], None] | None = None,
    on_output: Callable[[str], None] | None = None,
) -> None:
    """Run `module` (which calls `run_elastic_worker`) with `arguments` on every rank until all are done.

    When a rank fails, is killed, or lost another, torch elastic ends all and starts them again, `restarts`
    times at most. on_output: told in a reader's thread what agent and ranks print. Raises WorkerError naming
    the rank that was lost first in the last attempt, and why. No process is alive after it returns or raises.
    """
    messages: queue.Queue[Message] = queue.Queue()
    config = {
        "module": module,
        "arguments": list(arguments),
        "ranks": options.world_size,
        "restarts": restarts,
    }
    said = None if on_output is None else (lambda rank, line: on_output(line))
    with tempfile.TemporaryDirectory(prefix="aegis-") as folder:
        order = Order(
            rank=0,
            world_size=1,
            local_rank=0,
            local_size=1,
            threads=options.threads_per_worker,
            rendezvous="",
            collective_timeout_s=options.collective_timeout_s,
            config=config,
        )
        own = {**environment(options), "TMPDIR": folder}  # where torch elastic leaves what it writes
        agent = WorkerProcess([options.python, "-m", AGENT_MODULE], order, own, messages, said)
        try:
            supervise(agent, messages, options.world_size, restarts, on_progress)
        finally:
            stop([agent], 0.0)


def supervise(
    agent: WorkerProcess,
    messages: queue.Queue[Message],
    world_size: int,
    restarts: int,
    on_progress: Callable[[ProgressEvent], None] | None,
) -> None:
    """Listen until the agent has ended."""
    stages: dict[int, str] = {}
    failed: dict[int, FailedEvent] = {}
    lost: list[LostEvent] = []
    while True:
        message = messages.get()
        match message:
            case ProgressEvent():
                stages[message.rank] = message.stage
                if on_progress is not None:
                    on_progress(message)
            case FailedEvent():
                failed[message.rank] = message
            case LostEvent():
                lost.append(message)
            case Exited(code=0):
                return
            case Exited():
                raise WorkerError(lost_text(lost, failed, stages, world_size, restarts) or _silent(agent))


def _silent(agent: WorkerProcess) -> str:
    return "the agent of torch elastic ended" + agent.last_words()


def lost_text(
    lost: Sequence[LostEvent],
    failed: dict[int, FailedEvent],
    stages: dict[int, str],
    world_size: int,
    restarts: int,
) -> str:
    """One line on the failure that caused the others: a death, an error, one that only lost another; nothing
    where no rank was lost.
    """
    if not lost:
        return ""

    def weight(event: LostEvent) -> int:
        own = failed.get(event.rank)
        if event.code == -signal.SIGTERM:
            return 3  # the agent ends those so that live when another is lost
        return 0 if event.code < 0 else 1 if own is None or not own.secondary else 2

    event = min(lost, key=weight)
    own = failed.get(event.rank)
    reason = ending(event.code) if own is None or event.code < 0 else f"{own.error}: {own.message}"
    where = f"at {stages[event.rank]!r}" if event.rank in stages else "before its first stage"
    again = f" after {restarts} restarts" if restarts else ""
    return f"worker {event.rank} of {world_size}, {where}, failed{again}: {reason}"
