"""A peer: another library that runs the same operation, in this process or in one of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Unsupported:
    """A peer's answer when it cannot do an operation, and why."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class PeerFacts:
    """Name with version, parameters in words, and bytes of a stored rotation key if the peer can say."""

    name: str
    description: str
    stored_key_bytes: int | None = None


class Peer(Protocol):
    """Runs one operation at a time."""

    @property
    def facts(self) -> PeerFacts:
        """Name, version and what else is known of it."""

    def measure(self, operation: str) -> float | Unsupported:
        """Run the operation once and return its time in milliseconds, preparations not counted.

        The first call for an operation also prepares what it needs. Raises PeerError when the peer fails.
        """

    def close(self) -> None:
        """Release the peer; it is not used afterwards."""
