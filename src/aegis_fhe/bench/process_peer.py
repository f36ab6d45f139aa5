"""A peer in a process of its own: one line of JSON for each request, one for each answer.

When it is ready the process says who it is; `->` is a request, the rest are its answers:

    {"peer": "OpenFHE 1.6", "description": "128 bits, ...", "stored_key_bytes": 123}
    -> {"operation": "rotate"}
    {"ms": 306.1}, or {"unsupported": "why"}, or {"error": "why"}
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from aegis_fhe.bench.peer import PeerFacts, Unsupported
from aegis_fhe.errors import PeerError

ANSWER_TIMEOUT_S = 600.0  # keys for all rotations at N = 2^16 take seconds; this ends what hangs
LONGEST_SHOWN = 400


class ProcessPeer:
    """Starts `command` and speaks the protocol above with it; a context manager.

    Raises PeerError when the process cannot be started, ends, answers something else, or does not answer.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self._timeout_s = timeout_s
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=None if environment is None else dict(environment),
            )
        except OSError as error:
            self._errors.close()
            raise PeerError(f"the peer {command[0]} cannot be started: {error.strerror}") from error
        try:
            self._facts = self._read_facts()
        except PeerError:
            self.close()
            raise

    @property
    def facts(self) -> PeerFacts:
        """What the process said of itself."""
        return self._facts

    def measure(self, operation: str) -> float | Unsupported:
        """See `Peer.measure`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"operation": operation}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise PeerError(f"the peer has ended: {self._last_words()}") from None
        answer = self._answer()
        if isinstance(reason := answer.get("unsupported"), str):
            return Unsupported(reason)
        ms = answer.get("ms")
        if isinstance(ms, bool) or not isinstance(ms, int | float) or not ms > 0:
            raise PeerError(f"the peer answered {_shown(answer)} to {operation!r}; a time in ms is expected")
        return float(ms)

    def close(self) -> None:
        """End the process: it leaves when its input ends, and is killed when it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # it may have ended before it read its last request
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _read_facts(self) -> PeerFacts:
        hello = self._answer()
        name, description = hello.get("peer"), hello.get("description")
        size = hello.get("stored_key_bytes")
        if not (isinstance(name, str) and isinstance(description, str) and isinstance(size, int | None)):
            raise PeerError(f"the peer began with {_shown(hello)}; its name and description are expected")
        return PeerFacts(name=name, description=description, stored_key_bytes=size)

    def _answer(self) -> dict[str, Any]:
        """The next line; killing a process that is too slow ends the wait, and reads as the end of output."""
        assert self._process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._timeout_s, end)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if late.is_set():
            raise PeerError(f"the peer did not answer within {self._timeout_s:g} s and was ended")
        if not line:
            raise PeerError(f"the peer has ended: {self._last_words()}")
        return self._parse(line)

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(line)
        except ValueError:
            answer = line.decode(errors="replace").strip()
        if not isinstance(answer, dict):
            raise PeerError(f"the peer wrote {_shown(answer)}; one JSON object a line is expected")
        if "error" in answer:
            raise PeerError(f"the peer failed: {_shown(answer['error'])}")
        return answer

    def _last_words(self) -> str:
        """Exit status and the last line that the process wrote to its standard error."""
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its output"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        written = [line.strip() for line in lines if line.strip()]
        return f"exit status {status}" + (f", {_shown(written[-1])}" if written else "")

    def __enter__(self) -> ProcessPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _shown(answer: object) -> str:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
