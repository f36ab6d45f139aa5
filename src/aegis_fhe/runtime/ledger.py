"""Which bytes went between devices, for which node of the program.

Accounting: bytes *received* by this device from others, a device's own data excluded; bytes sent are kept
beside it, so that over all ranks both sums are equal. Taken from the tensors handed to the transport, not
from the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from aegis_fhe.observe.trace import TraceLog


class LedgerError(AssertionError):
    """Predicted and measured bytes differ: a fault of the program or its cost model, not of the input."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One collective on one rank; `start`, `end` in UNIX seconds; `control` marks what no plan predicts."""

    node: str
    operation: str
    axis: str
    bytes_received: int
    bytes_sent: int
    start: float
    end: float
    rank: int = 0
    control: bool = False


@dataclass
class Ledger:
    """Entries in order of completion."""

    entries: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Append one entry."""
        self.entries.append(entry)

    @property
    def bytes_received(self) -> int:
        """Total over all entries but control messages."""
        return sum(entry.bytes_received for entry in self.entries if not entry.control)

    @property
    def bytes_sent(self) -> int:
        """Total over all entries but control messages."""
        return sum(entry.bytes_sent for entry in self.entries if not entry.control)

    def by_node(self) -> dict[str, int]:
        """Bytes received for each node, in order of first appearance, control messages left out."""
        return sum_by_node((entry.node, entry.bytes_received) for entry in self.entries if not entry.control)

    def by_collective(self) -> dict[tuple[str, str], int]:
        """Bytes received for each (node, operation), without control messages and what moved nothing."""
        totals: dict[tuple[str, str], int] = {}
        for entry in self.entries:
            if entry.bytes_received and not entry.control:
                key = entry.node, entry.operation
                totals[key] = totals.get(key, 0) + entry.bytes_received
        return totals

    def check(self, predicted: Sequence[tuple[str, int]]) -> None:
        """Hold the measured bytes against `[(node, bytes received)]`; several entries of a node add up.

        A node with 0 bytes may be missing on either side. Raises `LedgerError` naming each node that differs.
        """
        expected, measured = sum_by_node(predicted), self.by_node()
        wrong = [
            f"{node}: predicted {expected.get(node, 0)}, measured {measured.get(node, 0)}"
            for node in {**expected, **measured}
            if expected.get(node, 0) != measured.get(node, 0)
        ]
        if wrong:
            raise LedgerError(
                f"bytes differ from the prediction at {len(wrong)} nodes: {'; '.join(wrong[:10])}"
            )

    def to_json(self) -> list[dict[str, Any]]:
        """Plain data, for a worker's report to its parent."""
        return [asdict(entry) for entry in self.entries]

    @classmethod
    def from_json(cls, data: Iterable[dict[str, Any]]) -> Ledger:
        """Inverse of `to_json`."""
        return cls([Entry(**entry) for entry in data])

    def trace_to(self, log: TraceLog, first: int = 0) -> int:
        """Write each entry from number `first` on as a span of category "communication"; how many there are
        now.
        """
        for entry in self.entries[first:]:
            log.add(
                f"{entry.operation} of {entry.node}",
                "communication",
                entry.start,
                entry.end,
                stage=entry.node,
                operation=entry.operation,
                axis=entry.axis,
                bytes_received=entry.bytes_received,
                bytes_sent=entry.bytes_sent,
                control=entry.control,
            )
        return len(self.entries)


def merge(ledgers: Sequence[Ledger]) -> Ledger:
    """All ranks' entries in one ledger, in order of start.

    Raises `LedgerError` when bytes sent and bytes received do not balance: a rank is missing.
    """
    merged = Ledger(
        sorted((e for ledger in ledgers for e in ledger.entries), key=lambda e: (e.start, e.rank))
    )
    if merged.bytes_sent != merged.bytes_received:
        raise LedgerError(
            f"{merged.bytes_sent} bytes were sent but {merged.bytes_received} received over all ranks"
        )
    return merged


def totals(ledgers: Iterable[Iterable[Entry]]) -> tuple[Entry, ...]:
    """One entry for each axis, node and operation, in no time, control messages left out."""
    found: dict[tuple[str, str, str], Entry] = {}
    for entry in (entry for entries in ledgers for entry in entries if not entry.control):
        key = entry.axis, entry.node, entry.operation
        known = found.get(key)
        found[key] = replace(
            entry,
            bytes_received=entry.bytes_received + (0 if known is None else known.bytes_received),
            bytes_sent=entry.bytes_sent + (0 if known is None else known.bytes_sent),
            start=entry.end,
        )
    return tuple(found.values())


def sum_by_node(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up bytes of equal nodes, keeping the order of first appearance."""
    totals: dict[str, int] = {}
    for node, count in pairs:
        totals[node] = totals.get(node, 0) + count
    return totals
