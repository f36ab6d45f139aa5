"""Blocks between ranks of one host through memory that they share, where sockets would take their processors.

Each rank has a file of memory with a ring for every other rank, which that one writes and this one reads. Its
name is forgotten as soon as all have mapped it, so nothing stays behind, whoever is killed.
"""

from __future__ import annotations

import mmap
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor

from aegis_fhe.ring import _kernels
from aegis_fhe.runtime.process_state import is_stopped, lives

if TYPE_CHECKING:
    from aegis_fhe.runtime.collectives import Communicator

FOLDER = Path("/dev/shm")
RING_BYTES = 4 << 20
HEAD_BYTES = 128  # as RingHead of csrc/host_link.h
STRIDE = RING_BYTES + HEAD_BYTES
LOOK_S = 1.0  # how often one that waits looks whether the other still lives


class _Place(msgspec.Struct, frozen=True):
    """Of one rank: on which start of which host, as which process, in which file, if any."""

    host: str
    process: int
    name: str | None


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
    mine = _Place(host=_host(), process=os.getpid(), name=None if own is None else own[0])
    found = communicator.gather_objects("host memory", msgspec.to_builtins(mine))
    places = [msgspec.convert(one, _Place) for one in found]
    maps: list[mmap.mmap] | None = None
    try:
        if all(place.name is not None and place.host == mine.host for place in places) and own is not None:
            maps = [
                own[1] if rank == communicator.rank else _attach(place.name or "", size * STRIDE)
                for rank, place in enumerate(places)
            ]
    except OSError:
        maps = None
    every = communicator.gather_objects("host memory", maps is not None)
    if own is not None:
        with suppress(OSError):
            (FOLDER / own[0]).unlink()
    if maps is None or not all(every):
        return None
    return HostMemory(communicator.rank, maps, [place.process for place in places], timeout_s)


def _create(size: int) -> tuple[str, mmap.mmap] | None:
    name = f"aegis-{secrets.token_hex(16)}"
    try:
        file = os.open(FOLDER / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(file, 0, size)
            return name, mmap.mmap(file, size)
        except OSError:
            (FOLDER / name).unlink()
            raise
        finally:
            os.close(file)
    except (OSError, AttributeError):
        return None


def _attach(name: str, size: int) -> mmap.mmap:
    file = os.open(FOLDER / Path(name).name, os.O_RDWR | os.O_NOFOLLOW)
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
