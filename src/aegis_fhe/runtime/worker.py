"""The worker's side of `launch`: take the order, do the work, say how it went.

A worker module ends with

    if __name__ == "__main__":
        run_worker(body, forbidden=["aegis_fhe.ckks.secret"])

Torch is imported only by `connect`, after the number of threads is set.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from aegis_fhe.errors import AegisError
from aegis_fhe.observe.progress import JsonLinesProgress, write_progress
from aegis_fhe.runtime.events import DoneEvent, FailedEvent, Order
from aegis_fhe.runtime.memory import peak_bytes
from aegis_fhe.runtime.sandbox import forbid_imports

if TYPE_CHECKING:
    from aegis_fhe.runtime.collectives import Communicator

LENGTH_DIGITS = 16  # the order is preceded by its length in decimal
ORDER_LIMIT_BYTES = 256 << 20


class WorkerContext:
    """What a worker's body gets: its place in the world, its configuration, and how to report."""

    def __init__(self, order: Order, stream: TextIO) -> None:
        self.rank = order.rank
        self.world_size = order.world_size
        self.threads = order.threads
        self.config = order.config
        self.kernels = ""
        self._order = order
        self._stream = stream
        self._communicator: Communicator | None = None

    def report(self, stage: str, fraction: float, message: str = "") -> None:
        """Tell the parent how far this rank is."""
        write_progress(self._stream, self.rank, stage, fraction, message)

    def progress(self, total_weight: float) -> JsonLinesProgress:
        """A sink for an executor: weights in, fractions to the parent."""
        return JsonLinesProgress(total_weight, self._stream, rank=self.rank)

    def connect(self, kernels: str = "") -> Communicator:
        """Set the number of torch threads and join the other ranks; call it once, on every rank.

        kernels: the job's path. This rank's is in `self.kernels` from then on: of "cuda", a GPU of its own,
        on which the ranks exchange tensors. Raises ParameterError or CapacityError where there is none for
        it, `CommunicationError` when others do not come in time.
        """
        import torch

        from aegis_fhe.runtime.collectives import Communicator
        from aegis_fhe.runtime.gpus import enter, own_path

        assert self._communicator is None, "connect() was called before"
        torch.set_num_threads(self.threads)
        self.kernels = own_path(kernels, self._order.local_rank, self._order.local_size)
        self._communicator = Communicator.connect(
            rank=self.rank,
            world_size=self.world_size,
            rendezvous=self._order.rendezvous,
            timeout_s=self._order.collective_timeout_s,
            device=enter(self.kernels),
        )
        return self._communicator

    def close(self) -> None:
        """Leave together: nobody goes while another rank still receives."""
        if self._communicator is not None:
            self._communicator.barrier("close")
            self._communicator.close()


def run_worker(body: Callable[[WorkerContext], Any], *, forbidden: Iterable[str] = ()) -> None:
    """Run `body` once under the parent's order; its return value (plain JSON data) goes to the parent.

    Modules under `forbidden` cannot be imported from here on, and must not be loaded yet. Whatever else
    prints to standard output goes to standard error. When the parent disappears, so does this process.
    """

    def ordered() -> Order:
        order = read_order()
        threading.Thread(target=exit_with_parent, daemon=True).start()
        return order

    serve(ordered, body, send, forbidden)


def serve(
    ordered: Callable[[], Order],
    body: Callable[[WorkerContext], Any],
    done: Callable[[TextIO, DoneEvent], None],
    forbidden: Iterable[str],
) -> None:
    """As `run_worker`, with an order from elsewhere; done: what is done with the result of the body."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    rank = -1
    start = time.monotonic()
    try:
        order = ordered()
        rank = order.rank
        forbid_imports(forbidden)
        context = WorkerContext(order, stream)
        result = body(context)
        context.close()
        done(stream, DoneEvent(rank, result, peak_bytes(), time.monotonic() - start))
    except Exception as error:
        if not isinstance(error, AegisError):  # ours explain themselves in one line
            traceback.print_exc()
        secondary = type(error).__name__ == "CommunicationError"  # by name: torch may not be loaded
        send(stream, FailedEvent(rank, type(error).__name__, one_line(str(error)), secondary))
        sys.stderr.flush()
        os._exit(1)  # no destructors: a broken process group may wait for its timeout


def read_order() -> Order:
    """The parent's order from standard input. Raises `ValueError` when the module was started by hand."""
    try:
        length = int(read_exactly(LENGTH_DIGITS))
        if not 0 < length <= ORDER_LIMIT_BYTES:
            raise ValueError(f"order of {length} bytes")
        return msgspec.json.decode(read_exactly(length), type=Order)
    except ValueError as error:
        raise ValueError(f"no order on standard input ({error}); workers are started by launch()") from None


def read_exactly(count: int) -> bytes:
    """`count` bytes of standard input, unbuffered; raises `ValueError` at its end."""
    data = bytearray()
    while len(data) < count:
        piece = os.read(0, count - len(data))
        if not piece:
            raise ValueError("end of input")
        data += piece
    return bytes(data)


def exit_with_parent() -> None:
    """Standard input stays open as long as the parent lives; at its end this process ends."""
    while os.read(0, 1 << 16):
        pass
    os._exit(3)


def send(stream: TextIO, event: msgspec.Struct) -> None:
    """Write one message to the parent."""
    stream.write(msgspec.json.encode(event).decode() + "\n")
    stream.flush()


def one_line(text: str) -> str:
    """Text of an error with its line breaks removed, bounded."""
    return " ".join(text.split())[:2000]
