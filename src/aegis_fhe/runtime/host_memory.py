"""Blocks between ranks of one host through memory that they share, where sockets would take their processors.

Each rank has a file of memory: a bell, which others ring, and for every other rank a ring, which that one
writes and this one reads. It has no name: others open it through the process that made it, so nothing stays
behind, whoever is killed when.
"""

from __future__ import annotations

import mmap
import os
import secrets
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor

from aegis_fhe.ring import _kernels
from aegis_fhe.runtime.process_state import is_stopped, lives

if TYPE_CHECKING:
    from aegis_fhe.runtime.collectives import Communicator

RING_BYTES, CONTROL_RING_BYTES = 4 << 20, 64 << 10
BELL_BYTES = HEAD_BYTES = 128  # as SharedBell of csrc/shared_bell.h, as RingHead of csrc/host_link.h
LOOK_S = 1.0  # how often one that waits looks whether the other still lives


class _Owner(msgspec.Struct, frozen=True):
    """Of one rank: on which start of which host, as which process, which of its open files, if any."""

    host: str
    process: int
    file: int | None


class HostMemory:
    """Of one rank. maps: the files of all; peers: process numbers by rank. What is posted moves by itself."""

    def __init__(
        self, rank: int, maps: Sequence[mmap.mmap], peers: Sequence[int], ring_bytes: int, timeout_s: float
    ) -> None:
        self._peers, self._timeout_s = peers, timeout_s
        self._maps = maps
        self._views = [torch.frombuffer(one, dtype=torch.uint8) for one in maps]
        starts = [view.data_ptr() for view in self._views]
        others = [peer != rank for peer in range(len(maps))]
        bells = [start * other for start, other in zip(starts, others, strict=True)]
        place = partial(_place, ring_bytes)
        incoming = [(starts[rank] + place(rank, peer)) * other for peer, other in enumerate(others)]
        outgoing = [(start + place(peer, rank)) * others[peer] for peer, start in enumerate(starts)]
        self._link: _kernels.HostLink | None = _kernels.HostLink(
            starts[rank], bells, incoming, outgoing, ring_bytes
        )

    def close(self) -> None:
        """Gives up what is under way; before the memory goes, so must the thread that copies."""
        self._link = None

    def __del__(self) -> None:
        """As `close`."""
        self.close()

    @property
    def _open(self) -> _kernels.HostLink:
        if self._link is None:
            raise RuntimeError("the connection is closed")
        return self._link

    def send(self, block: Tensor, peer: int) -> Moving:
        """block must not change, nor be freed, until it is waited for."""
        return Moving(self, self._open.send(peer, block.data_ptr(), block.nbytes), block, peer)

    def receive(self, block: Tensor, peer: int) -> Moving:
        """Into block, in the order in which the peer sends."""
        return Moving(self, self._open.receive(peer, block.data_ptr(), block.nbytes), block, peer)

    def wait(self, ticket: int, peer: int) -> None:
        """Raises RuntimeError when the peer is gone, TimeoutError when nothing came in time."""
        waited, look = 0.0, min(LOOK_S, self._timeout_s)
        while not self._open.wait(ticket, look):
            waited += look
            process = self._peers[peer]
            if not lives(process) and not self._open.wait(ticket, 0.0):
                raise RuntimeError(f"process {process} is gone")
            if waited >= self._timeout_s:
                stopped = ", it is stopped (SIGSTOP)" if is_stopped(process) else ""
                raise TimeoutError(f"process {process} did not answer in {self._timeout_s:g} s{stopped}")


class Moving:
    """A block under way, kept alive until it is waited for."""

    def __init__(self, memory: HostMemory, ticket: int, block: Tensor, peer: int) -> None:
        self._memory, self._ticket, self._block, self._peer = memory, ticket, block, peer

    def wait(self) -> None:
        """Until it is there, or lies in the ring. Raises as `HostMemory.wait`."""
        self._memory.wait(self._ticket, self._peer)


def connect_host(
    world: Communicator, members: Sequence[int], ring_bytes: int, timeout_s: float
) -> tuple[HostMemory | None, list[bool]]:
    """Shared by `members`, of whom this rank of `world` is one; and for every rank of `world`, whether it was
    able to share with its own. All ranks call it. None where a member is on another host, or has no memory.
    """
    size = _place(ring_bytes, 0, len(members))
    own, host = _create(size), _host()
    mine = _Owner(host=host, process=os.getpid(), file=None if own is None else own[0])
    found = world.gather_objects("host memory", msgspec.to_builtins(mine))
    owners = [msgspec.convert(found[one], _Owner) for one in members]
    maps: list[mmap.mmap] | None = None
    try:
        if own is not None and all(one.file is not None and one.host == host for one in owners):
            maps = [
                own[1] if member == world.rank else _attach(owner, size)
                for member, owner in zip(members, owners, strict=True)
            ]
    except OSError:
        maps = None
    able: list[bool] = world.gather_objects("host memory", maps is not None)
    if own is not None:
        os.close(own[0])
    if maps is None or not all(able[one] for one in members):
        return None, able
    processes = [one.process for one in owners]
    return HostMemory(members.index(world.rank), maps, processes, ring_bytes, timeout_s), able


def _place(ring_bytes: int, rank: int, other: int) -> int:
    """Where in the file of `rank` the ring of another one lies: behind the bell, and none is its own."""
    return BELL_BYTES + (other - (other > rank)) * (HEAD_BYTES + ring_bytes)


def _create(size: int) -> tuple[int, mmap.mmap] | None:
    """An open file and its map; None where the system has no such memory, or not so much."""
    try:
        file = os.memfd_create("aegis-rings")
    except (OSError, AttributeError):
        return None
    try:
        os.posix_fallocate(file, 0, size)
        return file, mmap.mmap(file, size)
    except OSError:
        os.close(file)
        return None


def _attach(owner: _Owner, size: int) -> mmap.mmap:
    file = os.open(f"/proc/{owner.process}/fd/{owner.file}", os.O_RDWR)
    try:
        return mmap.mmap(file, size)
    finally:
        os.close(file)


def _host() -> str:
    """Of this start of this machine, and of those who number its processes as this one does."""
    try:
        start, numbers = Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")
    except OSError:
        return secrets.token_hex(16)
    return f"{start.strip()} {os.uname().nodename} {numbers}"
