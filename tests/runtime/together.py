"""Several ranks in one process: a thread for each, and a communicator that hands tensors over in memory."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

import torch

from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.ledger import Entry
from aegis_fhe.runtime.mesh.connect import MeshCommunicators
from aegis_fhe.runtime.transfers import Transfer

T = TypeVar("T")
C = TypeVar("C")
Mail: TypeAlias = dict[tuple[int, int], "queue.Queue[Any]"]


class _Delivered:
    def __init__(self, blocks: dict[int, torch.Tensor]) -> None:
        self._blocks = blocks

    def wait(self) -> dict[int, torch.Tensor]:
        return self._blocks


class ThreadCommunicator(Communicator):
    """Blocks are copied into a queue for each pair of ranks; the ledger is written as over processes."""

    def __init__(self, rank: int, world_size: int, mail: Mail, axis: str = "token") -> None:
        super().__init__(rank=rank, world_size=world_size, group=object(), axis=axis)  # type: ignore[arg-type]
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
        sent = received = 0
        blocks: dict[int, torch.Tensor] = {}
        for transfer in transfers:
            if transfer.source == self.rank:
                block = self._checked(owned[transfer.index], transfer.shape, node)
                if transfer.destination == self.rank:
                    blocks[transfer.index] = block
                else:
                    self._mail[self.rank, transfer.destination].put(
                        (node, operation, transfer.index, block.clone())
                    )
                    sent += block.nbytes
        for transfer in transfers:
            if transfer.destination == self.rank and transfer.source != self.rank:
                found = self._mail[transfer.source, self.rank].get(timeout=60)
                assert found[:3] == (node, operation, transfer.index), (found[:3], node, operation)
                blocks[transfer.index] = self.allocate(transfer.shape).copy_(found[3])
                received += found[3].nbytes
        self.ledger.add(
            Entry(
                node=node,
                operation=operation,
                axis=self.axis,
                bytes_received=received,
                bytes_sent=sent,
                start=0.0,
                end=0.0,
                rank=self.rank,
                control=control,
            )
        )
        order = [t.index for t in transfers if t.destination == self.rank]
        return _Delivered({index: blocks[index] for index in order})


def mail_of(world_size: int) -> Mail:
    """A queue for each pair of ranks."""
    return {(s, d): queue.Queue() for s in range(world_size) for d in range(world_size)}


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
