"""One worker process as its parent sees it: two threads turn its output into messages."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from aegis_fhe.runtime.events import Event, FailedEvent, Order
from aegis_fhe.runtime.process_state import is_stopped
from aegis_fhe.runtime.worker import LENGTH_DIGITS

TAIL_LINES = 20


@dataclass(frozen=True)
class Exited:
    """A worker has ended; `explained` when it sent a `FailedEvent` before."""

    rank: int
    code: int
    explained: bool


Message: TypeAlias = Event | Exited


def ending(code: int) -> str:
    """How a process ended, for messages; code: its exit status, or minus the signal that ended it."""
    if code >= 0:
        return f"ended with status {code}"
    name = signal.Signals(-code).name
    return f"was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


class WorkerProcess:
    """Starts the process and puts its messages, and at last an `Exited`, into `messages`."""

    def __init__(
        self,
        command: Sequence[str],
        order: Order,
        environment: Mapping[str, str],
        messages: queue.Queue[Message],
        on_output: Callable[[int, str], None] | None,
    ) -> None:
        self.rank = order.rank
        self.stage = ""
        self._messages = messages
        self._on_output = on_output
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends its workers
        )
        self._errors = threading.Thread(target=self._read_errors, daemon=True)
        self._answers = threading.Thread(target=self._converse, args=(order,), daemon=True)
        self._errors.start()
        self._answers.start()

    def where(self) -> str:
        """The stage it was in, for messages."""
        return f"at {self.stage!r}" if self.stage else "before its first stage"

    def silence(self) -> str:
        """What one that neither failed nor is done is doing, for messages."""
        doing = "is stopped (SIGSTOP)" if is_stopped(self.process.pid) else "says nothing"
        return f"worker {self.rank}, {self.where()}, {doing}"

    def last_words(self) -> str:
        """The last line it printed, for messages."""
        return f"; its last line was {self._tail[-1]!r:.500}" if self._tail else ""

    def signal(self, number: int) -> None:
        """Send a signal to the process and its children, if it has not been collected yet."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def close(self) -> None:
        """Collect the exit status, the reader threads and the pipes."""
        self.process.wait()
        self._answers.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _converse(self, order: Order) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        data = msgspec.json.encode(order)
        with suppress(OSError):  # it died early: the exit status says so
            self.process.stdin.write(f"{len(data):0{LENGTH_DIGITS}d}".encode() + data)
            self.process.stdin.flush()
        explained = False
        for line in self.process.stdout:
            try:
                event = msgspec.json.decode(line, type=Event)
            except ValueError:
                self._note(line)
                continue
            explained = explained or isinstance(event, FailedEvent)
            self._messages.put(event)
        code = self.process.wait()
        self._errors.join(timeout=1.0)  # so that its last words are known
        self._messages.put(Exited(self.rank, code, explained))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._note(line)

    def _note(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self._tail.append(text)
            if self._on_output is not None:
                self._on_output(self.rank, text)
