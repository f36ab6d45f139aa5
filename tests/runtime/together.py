"""Several ranks in one process: a thread for each, and a communicator that hands tensors over in memory."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

import torch

from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.ring import Ring, find_primes
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.ledger import Entry
from aegis_fhe.runtime.mesh.connect import MeshCommunicators
from aegis_fhe.runtime.transfers import Transfer

T = TypeVar("T")
C = TypeVar("C")
Mails: TypeAlias = "dict[tuple[int, int], Mail]"


class Mail:
    """What one rank sends another, in order: the n-th that is received is the n-th that was sent."""

    def __init__(self) -> None:
        self._sent: list[Any] = []
        self._changed = threading.Condition()
        self._tickets = itertools.count()

    def put(self, item: Any) -> None:
        with self._changed:
            self._sent.append(item)
            self._changed.notify_all()

    def ticket(self) -> int:
        return next(self._tickets)

    def take(self, ticket: int) -> Any:
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._sent) > ticket, timeout=60):
                raise queue.Empty
            found, self._sent[ticket] = self._sent[ticket], None
            return found


class _Coming:
    """An exchange under way: what it receives is there when it is waited for, and until then what it sends is
    kept, as a transport keeps it.
    """

    def __init__(
        self, communicator: ThreadCommunicator, entry: Entry, blocks: list[_Block], kept: list[torch.Tensor]
    ) -> None:
        self.communicator, self.entry, self.blocks, self.kept = communicator, entry, blocks, kept

    def wait(self) -> dict[int, torch.Tensor]:
        found = {}
        for transfer, ticket, block in self.blocks:
            if ticket is not None:
                mail = self.communicator._mail[transfer.source, transfer.destination]
                node, operation, index, sent = mail.take(ticket)
                expected = self.entry.node, self.entry.operation, transfer.index
                assert (node, operation, index) == expected, (node, operation, index, expected)
                block.copy_(sent)
            found[transfer.index] = block
        self.kept.clear()
        self.communicator.ledger.add(replace(self.entry, end=time.time()))
        return found


_Block: TypeAlias = tuple[Transfer, int | None, torch.Tensor]


class ThreadCommunicator(Communicator):
    """Blocks are copied into a queue for each pair of ranks; the ledger is written as over processes."""

    def __init__(self, rank: int, world_size: int, mail: Mails, axis: str = "token") -> None:
        super().__init__(
            rank=rank,
            world_size=world_size,
            group=object(),  # type: ignore[arg-type]
            device=Ring(8, find_primes(20, 8, 1)).device,
            axis=axis,
        )
        self._mail = mail

    def start_exchange(
        self,
        node: str,
        owned: Mapping[int, torch.Tensor],
        transfers: Sequence[Transfer],
        *,
        operation: str = "exchange",
        control: bool = False,
    ) -> Any:
        start, sent, received = time.time(), 0, 0
        blocks, kept = list[_Block](), list[torch.Tensor]()
        for transfer in transfers:
            if transfer.source == self.rank:
                block = self._checked(owned[transfer.index], transfer.shape, node)
                if transfer.destination == self.rank:
                    blocks.append((transfer, None, block))
                else:
                    mail = self._mail[self.rank, transfer.destination]
                    mail.put((node, operation, transfer.index, block.clone()))
                    kept.append(block)
                    sent += block.nbytes
            elif transfer.destination == self.rank:
                ticket = self._mail[transfer.source, self.rank].ticket()
                blocks.append((transfer, ticket, self.allocate(transfer.shape)))
                received += transfer.bytes
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
        return _Coming(self, entry, blocks, kept)


def mail_of(world_size: int) -> Mails:
    """A queue for each pair of ranks."""
    return {(s, d): Mail() for s in range(world_size) for d in range(world_size)}


def together(world_size: int, body: Callable[[Communicator], T]) -> list[T]:
    """What `body` returns on every rank. A rank that fails lets the others run into their time limit."""
    mail = mail_of(world_size)
    return in_threads([ThreadCommunicator(rank, world_size, mail) for rank in range(world_size)], body)


def mesh_together(mesh: Mesh, body: Callable[[MeshCommunicators], T]) -> list[T]:
    """As `together`, for the communicators of a mesh."""
    columns = {device: mail_of(mesh.tokens) for device in range(mesh.limbs)}
    groups = {group: mail_of(mesh.limbs) for group in range(mesh.tokens)}
    everyone = mail_of(mesh.world_size)
    made = []
    for rank in range(mesh.world_size):
        t, m = mesh.place(rank)
        tokens = ThreadCommunicator(t, mesh.tokens, columns[m], "token")
        limbs = ThreadCommunicator(m, mesh.limbs, groups[t], "limb")
        team = ThreadCommunicator(rank, mesh.world_size, everyone, "team")
        made.append(MeshCommunicators(mesh=mesh, tokens=tokens, limbs=limbs, team=team))
    return in_threads(made, body)


def in_threads(ranks: Sequence[C], body: Callable[[C], T]) -> list[T]:
    """One thread for each rank; of several errors the one that is not a time limit."""
    with ThreadPoolExecutor(len(ranks)) as pool:
        jobs = [pool.submit(body, rank) for rank in ranks]
        failures = [error for job in jobs if (error := job.exception()) is not None]
        for error in sorted(failures, key=lambda e: isinstance(e, queue.Empty)):
            raise error
        return [job.result() for job in jobs]
