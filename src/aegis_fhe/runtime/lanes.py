"""A process group for each direction between two ranks, for a transport that keeps a group's order.

NCCL runs what a rank gives one group in the order in which it was given: where one rank first sends and
then receives, and the other does so too, both wait for ever. Messages of one direction are sent and received
in one order (`mesh.flights`), so that a group for each never has to wait for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations

import torch
import torch.distributed as dist
from torch import Tensor


class Lanes:
    """Of the members of one part of the world, who are numbered in it as they are listed."""

    def __init__(self, members: Sequence[int], groups: dict[tuple[int, int], dist.ProcessGroup]) -> None:
        self._members, self._groups = members, groups

    @classmethod
    def connect(
        cls,
        parts: Sequence[Sequence[int]],
        rank: int,
        device: torch.device,
        timeout: timedelta,
    ) -> Lanes:
        """The lanes of the part that `rank` is in. parts: disjoint, in numbers of the world.

        Every rank of the world calls it. A word passes through each lane, in one order on all ranks: the
        first use of a group waits for the other rank.
        """
        own: dict[tuple[int, int], dist.ProcessGroup] = {}
        for members in parts:
            for source, destination in permutations(members, 2):
                group = dist.new_group([source, destination], timeout=timeout)
                if rank in (source, destination):
                    own[source, destination] = group
        lanes = cls(next(one for one in parts if rank in one), own)
        word = torch.zeros(1, dtype=torch.int64, device=device)
        for source, destination in own:
            lanes._start(rank == source, word, source, destination).wait()
        return lanes

    def start(self, sent: bool, block: Tensor, rank: int, peer: int) -> dist.Work:
        """Send or receive a block; rank, peer: numbers within the part."""
        mine, other = self._members[rank], self._members[peer]
        return self._start(sent, block, *((mine, other) if sent else (other, mine)))

    def _start(self, sent: bool, block: Tensor, source: int, destination: int) -> dist.Work:
        """Ranks of a group are numbered in the order of their numbers in the world."""
        other, mine = (destination, source) if sent else (source, destination)
        operation = dist.P2POp(
            dist.isend if sent else dist.irecv,
            block,
            group=self._groups[source, destination],
            group_peer=int(other > mine),
        )
        (work,) = dist.batch_isend_irecv([operation])
        return work
