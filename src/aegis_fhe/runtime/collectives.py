"""The one place that moves tensors between devices, and writes down every byte of it.

All operations are built on batched point-to-point transfers of whole int64 blocks: on gloo twice as fast as
its own all-gather (50 against 111 ms for 33.6 MB on 2 ranks), uneven shares cost nothing extra, nothing is
ever summed, so results cannot depend on an order. World size 1 is the same code with an empty list of
transfers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

import msgspec
import torch
import torch.distributed as dist
from torch import Tensor

from aegis_fhe.runtime.carrier import Carried, Carrier
from aegis_fhe.runtime.host_memory import RING_BYTES, connect_host
from aegis_fhe.runtime.lanes import Lanes
from aegis_fhe.runtime.ledger import Entry, Ledger
from aegis_fhe.runtime.transfers import ITEM_BYTES, Transfer, all_gather_transfers

T = TypeVar("T")

TIMEOUT_S, JOIN_S = 1800.0, 300.0
CONTROL_BYTES = 64 << 20  # control messages are small; a larger length is a damaged one


class CommunicationError(RuntimeError):
    """A transfer failed because another rank failed, left, or did not answer in time."""


Work: TypeAlias = tuple["dist.Work | Carried", int | None]
"""What is under way, and with which rank, where that is known."""


class Exchange:
    """Transfers under way: blocks must not change before `wait` (on CUDA it waits for the current stream)."""

    def __init__(
        self,
        communicator: Communicator,
        blocks: dict[int, Tensor],
        works: Sequence[Work],
        entry: Entry,
    ) -> None:
        self._communicator = communicator
        self._blocks = blocks
        self._works = works
        self._entry = entry

    def wait(self) -> dict[int, Tensor]:
        """The blocks by index, in the plan's order; the ledger entry is written here. Call once."""
        for work, peer in self._works:
            self._communicator._guard(self._entry.node, work.wait, peer)
        self._works = []
        self._communicator.ledger.add(replace(self._entry, end=time.time()))
        return self._blocks


class Communicator:
    """Collectives over the ranks of one mesh axis; every call is made by all ranks, in the same order.

    World size 1 needs neither a process group nor a host's memory, which is used where both are. host: that
    memory, or another carrier. lanes: NCCL's, in place of a group. allocate: where what is received lies, an
    uninitialised int64 tensor of a shape; a device sets its arena's. names: what messages call the ranks, by
    default 0, 1, ...; those of a part of the world have other numbers in it. timeout_s: how long a rank waits
    for another. Raises `CommunicationError` when that is lost, or does not answer in time: it says which.
    """

    allocate: Callable[[Sequence[int]], Tensor]

    def __init__(
        self,
        *,
        rank: int = 0,
        world_size: int = 1,
        group: dist.ProcessGroup | None = None,
        device: torch.device | str = "cpu",
        axis: str = "token",
        ledger: Ledger | None = None,
        names: Sequence[int] | None = None,
        timeout_s: float = TIMEOUT_S,
        host: Carrier | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        assert 0 <= rank < world_size, (rank, world_size)
        assert world_size == 1 or group is not None or host is not None or lanes is not None, (
            "more than one rank needs a process group, its lanes or a host's memory"
        )
        self.rank = rank
        self.world_size = world_size
        self.device = torch.device(device)
        self.axis = axis
        self.ledger = Ledger() if ledger is None else ledger
        self.names = range(world_size) if names is None else names
        self.timeout_s = timeout_s
        self.allocate = self._allocated
        self._group, self._host, self._lanes = group, host, lanes
        self._parts_join_its_group = False

    @classmethod
    def connect(
        cls,
        *,
        rank: int,
        world_size: int,
        rendezvous: str,
        timeout_s: float = TIMEOUT_S,
        device: torch.device | str = "cpu",
    ) -> Communicator:
        """Join the default process group at `rendezvous` (`file://...`, `tcp://host:port`, or `env://` under
        torch elastic).

        gloo for CPU tensors, NCCL for CUDA, there in lanes. World size 1 joins nothing. However short
        `timeout_s`, ranks may come as late as processes start: JOIN_S.
        """
        device, lanes = torch.device(device), None
        if world_size == 1:
            return cls(device=device)
        backend, timeout = "nccl" if device.type == "cuda" else "gloo", timedelta(seconds=timeout_s)
        join = timedelta(seconds=max(timeout_s, JOIN_S))
        try:
            dist.init_process_group(
                backend, init_method=rendezvous, rank=rank, world_size=world_size, timeout=join
            )
            group = dist.group.WORLD
            if timeout_s < JOIN_S:
                group = dist.new_group(timeout=timeout)
            if in_lanes(device):
                lanes = Lanes.connect([range(world_size)], rank, device, timeout)
        except (RuntimeError, dist.DistError) as error:
            raise CommunicationError(f"rank {rank} could not join the others: {first_line(error)}") from error
        return cls(
            rank=rank,
            world_size=world_size,
            group=group,
            device=device,
            timeout_s=timeout_s,
            lanes=lanes,
        )

    def part(
        self, groups: Sequence[Sequence[int]], rank: int, axis: str, *, host_memory: bool = False
    ) -> Communicator:
        """The one of some disjoint groups of ranks that this rank is in, there with number `rank`.

        All ranks of this world make all groups, in one order. A group of one needs no transport. host_memory:
        those of one host exchange through memory that they share.
        """
        if len(groups[0]) == 1:
            return Communicator(device=self.device, axis=axis)
        mine = next(one for one in groups if self.rank in one)
        host, able, lanes = None, [False] * self.world_size, None
        if host_memory and self.device.type == "cpu":
            host, able = connect_host(self, mine, RING_BYTES, self.timeout_s)
        timeout = timedelta(seconds=self.timeout_s)
        made = {}
        if in_lanes(self.device):
            lanes = self._guard("connect", lambda: Lanes.connect(groups, self.rank, self.device, timeout))
        else:
            made = {
                tuple(one): dist.new_group(list(one), timeout=timeout)
                for one in groups
                if not all(able[rank] for rank in one)
            }
        self._parts_join_its_group |= bool(made) or lanes is not None
        return Communicator(
            rank=rank,
            world_size=len(mine),
            group=made.get(tuple(mine)),
            device=self.device,
            axis=axis,
            names=[self.names[one] for one in mine],
            timeout_s=self.timeout_s,
            host=host,
            lanes=lanes,
        )

    def close(self) -> None:
        """Leave the process group."""
        if self._host is not None:
            self._host.close()
            self._host = None
        self._leave_group()

    def _leave_group(self) -> None:
        if self._group is not None:
            dist.destroy_process_group(self._group)
            self._group = None

    def use_host_memory(self, ring_bytes: int = RING_BYTES) -> bool:
        """Exchange through shared memory from now on, where all ranks are on one host: whether they are.

        Every rank calls it, with nothing under way, after it has made all parts. The process group is left
        where no part needs it: threads of gloo look for messages 100 times a second each, and take the
        processor for that.
        """
        if self.world_size > 1 and self.device.type == "cpu":
            self._host, _ = connect_host(self, range(self.world_size), ring_bytes, self.timeout_s)
            if self._host is not None and not self._parts_join_its_group:
                self._leave_group()
        return self._host is not None

    def start_exchange(
        self,
        node: str,
        owned: Mapping[int, Tensor],
        transfers: Sequence[Transfer],
        *,
        operation: str = "exchange",
        control: bool = False,
    ) -> Exchange:
        """Start the plan `transfers` (the same list on every rank) and return at once.

        `owned`: this rank's blocks by index, int64, contiguous, on `device`. The result holds each block
        whose destination is this rank, in the plan's order; own blocks are passed through without a copy.
        """
        start, sent, received = time.time(), 0, 0
        operations: list[tuple[bool, Tensor, int]] = []
        blocks: dict[int, Tensor] = {}
        for transfer in transfers:
            if transfer.source == self.rank:
                block = self._checked(owned[transfer.index], transfer.shape, f"{node}[{transfer.index}]")
                if transfer.destination == self.rank:
                    blocks[transfer.index] = block
                else:
                    operations.append((True, block, transfer.destination))
                    sent += block.nbytes
            elif transfer.destination == self.rank:
                block = self.allocate(transfer.shape)
                blocks[transfer.index] = block
                operations.append((False, block, transfer.source))
                received += block.nbytes
        works = self._guard(node, lambda: self._started(operations)) if operations else []
        entry = Entry(
            node=node,
            operation=operation,
            axis=self.axis,
            bytes_received=received,
            bytes_sent=sent,
            start=start,
            end=start,
            rank=self.rank,
            control=control,
        )
        return Exchange(self, blocks, works, entry)

    def exchange(
        self, node: str, owned: Mapping[int, Tensor], transfers: Sequence[Transfer]
    ) -> dict[int, Tensor]:
        """Run the plan `transfers` to its end; see `start_exchange`."""
        return self.start_exchange(node, owned, transfers).wait()

    def all_gather_blocks(
        self, node: str, own: Mapping[int, Tensor], owner_of: Sequence[int], shape: Sequence[int]
    ) -> dict[int, Tensor]:
        """Every block on every rank: {index: int64 tensor of `shape`} for all indices of `owner_of`.

        Received bytes: (blocks of others) x prod(shape) x 8, uneven shares allowed.
        """
        transfers = all_gather_transfers(owner_of, shape, self.world_size)
        return self.start_exchange(node, own, transfers, operation="all_gather").wait()

    def broadcast(self, node: str, block: Tensor | None, source: int, shape: Sequence[int]) -> Tensor:
        """`block` of rank `source` on every rank; prod(shape) x 8 bytes received on each other rank."""
        plan = all_gather_transfers([source], shape, self.world_size)
        owned = {} if block is None else {0: block}
        return self.start_exchange(node, owned, plan, operation="broadcast").wait()[0]

    def gather_objects(self, node: str, value: Any) -> list[Any]:
        """Every rank's `value` (plain JSON data) in rank order, on every rank; a control message."""
        data = msgspec.json.encode(value)
        words = -(-len(data) // ITEM_BYTES)
        padded = torch.frombuffer(bytearray(data.ljust(max(words, 1) * ITEM_BYTES)), dtype=torch.int64)
        lengths = self._gather(node, torch.tensor([len(padded)]).to(self.device), [(1,)] * self.world_size)
        shapes = [(int(lengths[rank]),) for rank in range(self.world_size)]
        assert all(0 < words * ITEM_BYTES <= CONTROL_BYTES for (words,) in shapes), shapes
        texts = self._gather(node, padded.to(self.device), shapes)
        return [msgspec.json.decode(bytes(texts[rank].cpu().view(torch.uint8).numpy())) for rank in texts]

    def barrier(self, node: str) -> None:
        """Return when every rank has called it; a control message in the ledger."""
        self._gather(node, torch.zeros(1, dtype=torch.int64, device=self.device), [(1,)] * self.world_size)

    def _gather(self, node: str, own: Tensor, shapes: Sequence[tuple[int, ...]]) -> dict[int, Tensor]:
        plan = [
            Transfer(index=source, source=source, destination=destination, shape=shapes[source])
            for source in range(self.world_size)
            for destination in range(self.world_size)
        ]
        return self.start_exchange(node, {self.rank: own}, plan, operation="control", control=True).wait()

    def _allocated(self, shape: Sequence[int]) -> Tensor:
        return torch.empty(tuple(shape), dtype=torch.int64, device=self.device)

    def _started(self, operations: Sequence[tuple[bool, Tensor, int]]) -> Sequence[Work]:
        """operations: whether it is sent, the block, the other rank."""
        host, peers = self._host, [peer for _, _, peer in operations]
        if host is not None:
            moving = [(host.send if sent else host.receive)(block, peer) for sent, block, peer in operations]
            return list(zip(moving, peers, strict=True))
        lanes = self._lanes
        if lanes is not None:
            return [(lanes.start(sent, block, self.rank, peer), peer) for sent, block, peer in operations]
        works = dist.batch_isend_irecv(
            [
                dist.P2POp(dist.isend if sent else dist.irecv, block, group=self._group, group_peer=peer)
                for sent, block, peer in operations
            ]
        )
        return list(zip(works, peers, strict=True))

    def _checked(self, block: Tensor, shape: tuple[int, ...], where: str) -> Tensor:
        assert block.dtype == torch.int64, f"{where} is {block.dtype}, blocks are int64"
        assert tuple(block.shape) == shape, f"{where} has shape {tuple(block.shape)}, the plan says {shape}"
        assert block.is_contiguous(), f"{where} is not contiguous"
        assert block.device.type == self.device.type, f"{where} is on {block.device}, not {self.device}"
        return block

    def _guard(self, node: str, action: Callable[[], T], peer: int | None = None) -> T:
        try:
            return action()
        except (RuntimeError, TimeoutError) as error:
            reason, own = first_line(error), self.names[self.rank]
            if "timed out" in reason.lower():  # gloo does not say more, but where in its source
                reason = f"it did not answer in {self.timeout_s:g} s"
            other = "another rank" if peer is None else f"rank {self.names[peer]}"
            raise CommunicationError(f"{node}: rank {own} lost {other}: {reason}") from error


def in_lanes(device: torch.device) -> bool:
    """Whether tensors there travel by NCCL, a direction between two ranks in a group of its own."""
    return device.type == "cuda"


def first_line(error: BaseException) -> str:
    """The first line of an error's text: transports add stack traces."""
    return (str(error).splitlines() or [type(error).__name__])[0]
