"""What carries blocks from rank to rank in place of a process group."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Carried(Protocol):
    """A block under way."""

    def wait(self) -> object:
        """Until the block is there, or may change. Raises RuntimeError, TimeoutError where it is lost."""
        ...


class Carrier(Protocol):
    """Of one rank. Between two ranks the n-th block that is received is the n-th that was sent."""

    def send(self, block: Tensor, peer: int) -> Carried:
        """block must not change until it is waited for, and is kept alive until then."""
        ...

    def receive(self, block: Tensor, peer: int) -> Carried:
        """Into block."""
        ...

    def close(self) -> None:
        """Gives up what is under way."""
        ...
