"""A plan of which blocks move where: plain data, equal on every rank, so that bytes follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ITEM_BYTES = 8  # every block is int64: uint64 is refused by all backends


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Block `index` of `shape` goes from rank `source` to rank `destination`."""

    index: int
    source: int
    destination: int
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Bytes that cross a device boundary: 0 when both ends are the same rank."""
        return 0 if self.source == self.destination else math.prod(self.shape) * ITEM_BYTES


def all_gather_transfers(owner_of: Sequence[int], shape: Sequence[int], world_size: int) -> list[Transfer]:
    """The plan in which every rank gets every block; block i is on rank `owner_of[i]`.

    Bytes received by rank r: (number of blocks of others) x prod(shape) x 8.
    """
    return [
        Transfer(index=index, source=owner, destination=destination, shape=tuple(shape))
        for index, owner in enumerate(owner_of)
        for destination in range(world_size)
    ]


def predicted_bytes(transfers: Iterable[Transfer], rank: int) -> int:
    """Bytes that `rank` receives from others under a plan."""
    return sum(transfer.bytes for transfer in transfers if transfer.destination == rank)
