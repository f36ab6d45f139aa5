"""Blocks between ranks of one host through memory that they share, where sockets would take their processors.

Each rank has a file of memory with a ring for every other rank, which that one writes and this one reads. It
has no name: others open it through the process that made it, so nothing stays behind, whoever is killed when.
"""

from __future__ import annotations

import mmap
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor

from aegis_fhe.ring import _kernels
from aegis_fhe.runtime.process_state import is_stopped, lives

if TYPE_CHECKING:
    from aegis_fhe.runtime.collectives import Communicator

RING_BYTES = 4 << 20
HEAD_BYTES = 128  # as RingHead of csrc/host_link.h
STRIDE = RING_BYTES + HEAD_BYTES
LOOK_S = 1.0  # how often one that waits looks whether the other still lives


class _Place(msgspec.Struct, frozen=True):
    """Of one rank: on which start of which host, as which process, which of its open files, if any."""

    host: str
    process: int
    file: int | None


class HostMemory:
    """Of one rank. peers: process numbers by rank. What is posted moves without further calls."""

    def __init__(self, rank: int, maps: list[mmap.mmap], peers: list[int], timeout_s: float) -> None:
        self._peers, self._timeout_s = peers, timeout_s
        self._maps = maps
        self._views = [torch.frombuffer(one, dtype=torch.uint8) for one in maps]
        starts = [view.data_ptr() for view in self._views]
        others = [peer != rank for peer in range(len(maps))]
        incoming = [(starts[rank] + peer * STRIDE) * other for peer, other in enumerate(others)]
        outgoing = [(starts[peer] + rank * STRIDE) * other for peer, other in enumerate(others)]
        self._link: _kernels.HostLink | None = _kernels.HostLink(incoming, outgoing, RING_BYTES)

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


def connect_host(communicator: Communicator, timeout_s: float) -> HostMemory | None:
    """Every rank calls it; None, on all of them, where they are not on one host or it has no such memory."""
    own, size = _create(communicator.world_size * STRIDE), communicator.world_size
    mine = _Place(host=_host(), process=os.getpid(), file=None if own is None else own[0])
    found = communicator.gather_objects("host memory", msgspec.to_builtins(mine))
    places = [msgspec.convert(one, _Place) for one in found]
    maps: list[mmap.mmap] | None = None
    try:
        if all(place.file is not None and place.host == mine.host for place in places) and own is not None:
            maps = [
                own[1] if rank == communicator.rank else _attach(place, size * STRIDE)
                for rank, place in enumerate(places)
            ]
    except OSError:
        maps = None
    every = communicator.gather_objects("host memory", maps is not None)
    if own is not None:
        os.close(own[0])
    if maps is None or not all(every):
        return None
    return HostMemory(communicator.rank, maps, [place.process for place in places], timeout_s)


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


def _attach(place: _Place, size: int) -> mmap.mmap:
    file = os.open(f"/proc/{place.process}/fd/{place.file}", os.O_RDWR)
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
