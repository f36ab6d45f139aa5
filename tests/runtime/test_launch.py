"""Worlds of 1, 2, 3 processes agree bit for bit, the ledger is exact, no failure leaves a process behind."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import aegis_fhe
from aegis_fhe.errors import WorkerError
from aegis_fhe.runtime.events import FailedEvent, ProgressEvent
from aegis_fhe.runtime.launch import LaunchOptions, WorkerReport, launch, supervise
from aegis_fhe.runtime.ledger import Ledger, merge
from aegis_fhe.runtime.worker_process import Exited, Message

SEARCH_PATH = os.pathsep.join([str(Path(__file__).parent), str(Path(aegis_fhe.__file__).parents[1])])
BLOCK_BYTES = 384 * 8


def run(config: dict[str, Any], **options: Any) -> list[WorkerReport]:
    environment = {"PYTHONPATH": SEARCH_PATH}
    return launch("exchange_worker", config, LaunchOptions(environment=environment, **options))


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


@pytest.mark.parametrize("way", ["sockets", "memory", "lanes"])
def test_worlds_agree_bit_for_bit_and_the_ledger_is_exact(way: str) -> None:
    """Lanes are GPUs', here over sockets."""
    digests = set()
    for world_size in (1, 2, 3):
        events: list[ProgressEvent] = []
        output: list[str] = []
        reports = launch(
            "exchange_worker",
            {"mode": "exchange", way: True},
            LaunchOptions(
                world_size=world_size, threads=1, environment={"PYTHONPATH": SEARCH_PATH}, timeout_s=120
            ),
            on_progress=events.append,
            on_output=lambda rank, line: output.append(line),  # noqa: B023
        )
        assert [report.rank for report in reports] == list(range(world_size))
        for report in reports:
            assert report.result["exact"]
            assert report.result["order"] == list(range(7))
            assert report.result["names"] == [rank * 1000 + 1 + 100 * rank for rank in range(world_size)]
            assert report.result["threads"] == 1
            assert report.peak_bytes > 50 << 20
            assert report.seconds > 0
            digests.add(report.result["digest"])
        merged = merge([Ledger.from_json(report.result["ledger"]) for report in reports])
        merged.check([pair for report in reports for pair in report.result["predicted"]])
        owners = [(i * i) % world_size for i in range(7)]
        moved_on = sum(1 for i in range(0, 7, 2) if (owners[i] + 1) % world_size != owners[i])
        assert merged.by_node() == {
            "kv": 7 * (world_size - 1) * BLOCK_BYTES,
            "ring": 2 * moved_on * BLOCK_BYTES,
            "weight": (world_size - 1) * BLOCK_BYTES,
        }
        assert {(event.rank, event.stage, event.fraction) for event in events} >= {
            (rank, stage, fraction)
            for rank in range(world_size)
            for stage, fraction in [("start", 0), ("whole", 1)]
        }
        assert output.count("noise on standard output") == world_size
        assert children() == []
    assert len(digests) == 1


def test_killed_worker_is_named_though_its_peer_fails_too() -> None:
    with pytest.raises(WorkerError, match=r"worker 1 of 2, at 'start', failed: was ended by SIGKILL"):
        run({"mode": "kill", "rank": 1}, world_size=2, collective_timeout_s=20)
    assert children() == []


def test_a_stopped_worker_is_reported_within_the_timeout_and_ended() -> None:
    """Whoever waits for it names it and the stage; the parent sees why it says nothing."""
    config = {"mode": "kill", "rank": 1, "signal": "SIGSTOP", "memory": True}
    with pytest.raises(
        WorkerError,
        match=r"CommunicationError: alone: rank 0 lost rank 1: process \d+ did not answer in 2 s, "
        r"it is stopped \(SIGSTOP\); worker 1, at 'start', is stopped \(SIGSTOP\)$",
    ):
        run(config, world_size=2, collective_timeout_s=2, timeout_s=60)
    assert children() == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"mode": "raise", "rank": 1},
            r"worker 1 of 2, at 'start', failed: MissingKeyError: no key for step 7 at level 3",
        ),
        ({"mode": "bug", "rank": 0}, r"worker 0 of 2, at 'start', failed: KeyError: 'absent'"),
        (
            {"mode": "exit", "rank": 1},
            r"worker 1 of 2.* ended with status 7; its last line was 'I am leaving'",
        ),
        ({"mode": "forbidden"}, r"ImportError: aegis_fhe.ckks.secret must not be imported"),
    ],
)
def test_failing_worker_is_named_and_the_others_are_ended(config: dict[str, Any], message: str) -> None:
    start = time.monotonic()
    with pytest.raises(WorkerError, match=message) as caught:
        run(config, world_size=2)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 30  # the other one would sleep for 60
    assert children() == []


def test_hanging_worker_meets_its_timeout() -> None:
    with pytest.raises(WorkerError, match=r"not done after 3 s: worker 0, at 'start', says nothing;"):
        run({"mode": "hang"}, timeout_s=3)
    assert children() == []


def test_module_that_does_not_exist() -> None:
    with pytest.raises(WorkerError, match="No module named"):
        launch("aegis_fhe.no_such_module", {}, LaunchOptions(environment={"PYTHONPATH": SEARCH_PATH}))


def test_interrupted_parent_ends_its_workers() -> None:
    def interrupt(event: ProgressEvent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(
            "exchange_worker",
            {"mode": "hang"},
            LaunchOptions(environment={"PYTHONPATH": SEARCH_PATH}),
            on_progress=interrupt,
        )
    assert children() == []


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)  # nobody may be there to collect an orphan
    except psutil.NoSuchProcess:
        return False


PARENT = """
from aegis_fhe.runtime.launch import LaunchOptions, launch
show = lambda event: print(event.message, flush=True)
launch("exchange_worker", {"mode": "hang"}, LaunchOptions(), on_progress=show)
"""


def test_worker_of_a_killed_parent_ends_by_itself() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
    )
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and is_alive(worker):
        time.sleep(0.05)
    assert not is_alive(worker)


class StubWorker:
    def __init__(self, rank: int) -> None:
        self.rank = rank

    def where(self) -> str:
        return "at 'scores'"

    def silence(self) -> str:
        return f"worker {self.rank} is silent"

    def last_words(self) -> str:
        return ""


@pytest.mark.parametrize("symptom_first", [True, False])
def test_cause_is_told_from_symptom_in_either_order(symptom_first: bool) -> None:
    symptom = [FailedEvent(0, "CommunicationError", "lost another rank", True), Exited(0, 1, True)]
    cause: list[Message] = [Exited(1, -signal.SIGKILL, False)]
    messages: queue.Queue[Message] = queue.Queue()
    for message in symptom + cause if symptom_first else cause + symptom:
        messages.put(message)
    with pytest.raises(WorkerError, match=r"worker 1 of 2.*SIGKILL"):
        supervise([StubWorker(0), StubWorker(1)], messages, 10.0, None)  # type: ignore[list-item]


def test_symptom_without_a_cause_is_told_after_a_little_while() -> None:
    messages: queue.Queue[Message] = queue.Queue()
    messages.put(FailedEvent(0, "CommunicationError", "timed out", True))
    with pytest.raises(WorkerError, match=r"worker 0 of 2.*timed out; worker 1 is silent$"):
        supervise([StubWorker(0), StubWorker(1)], messages, None, None)  # type: ignore[list-item]


def test_bad_options_are_refused() -> None:
    with pytest.raises(WorkerError, match="at least 1"):
        LaunchOptions(world_size=0)
    assert LaunchOptions(world_size=10_000).threads_per_worker == 1
    assert LaunchOptions(world_size=2, threads=5).threads_per_worker == 5
