"""One rank of a plan by itself: its nodes, keys, weights and memory, with nobody to exchange with.

All that a rank computes, holds and counts in its ledgers follows from the plan, whatever it receives: so one
device measures what each device of a mesh of any size would compute and hold. What it makes is no result:
where others' values are missing, residues stand for them (`absent_ranks`). A plan of one device receives
nothing, and its replay is the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.keys import EvaluationKeys
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.traffic import LIMB_AXIS, TEAM_AXIS, TOKEN_AXIS
from aegis_fhe.program.operators import Context
from aegis_fhe.runtime.absent_ranks import AbsentRanks
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.gpus import finish
from aegis_fhe.runtime.mesh.connect import MeshCommunicators
from aegis_fhe.runtime.mesh.device import MeshDevice
from aegis_fhe.runtime.mesh.execute import MeshExecution, MeshProgram
from aegis_fhe.runtime.mesh.flights import Ready
from aegis_fhe.runtime.mesh.observer import Step
from aegis_fhe.runtime.out_of_memory import memory_for


@dataclass(frozen=True, kw_only=True)
class ReplayedRank:
    """What one rank did. node_seconds: of its nodes by name, in order, with what passed since the node before
    and without what writing what it received took, which is `written_seconds` of all.
    """

    rank: int
    execution: MeshExecution
    communicators: MeshCommunicators
    node_seconds: Mapping[str, float]
    written_seconds: float

    @property
    def received_bytes(self) -> int:
        """From others, over all axes."""
        return sum(entry.bytes_received for entry in self.communicators.entries())

    @property
    def sent_bytes(self) -> int:
        """To others, over all axes."""
        return sum(entry.bytes_sent for entry in self.communicators.entries())


def replay_rank(
    program: MeshProgram,
    params: Parameters,
    keys: EvaluationKeys,
    rank: int,
    inputs: Mapping[str, Ciphertext],
    context: Context,
    *,
    device: torch.device | str = "cpu",
    reserved_bytes: int = 0,
    now: Callable[[], float] = time.monotonic,
) -> ReplayedRank:
    """params, keys: as of `MeshDevice`. inputs: whole ciphertexts, of which the rank copies those that it
    reads. reserved_bytes: of the arena, touched before the run. now: a clock in seconds, of the processor
    where it alone computes. Encoding weights and drawing keys is no time of a node.

    Raises CompatibilityError for a rank that the plan does not have, CapacityError.
    """
    mesh = program.schedule.mesh
    if not 0 <= rank < mesh.world_size:
        raise CompatibilityError(
            f"rank {rank} of a plan for {mesh.tokens} x {mesh.limbs} devices: it has ranks 0 to "
            f"{mesh.world_size - 1}"
        )
    absent = AbsentRanks(params.degree, min(*params.q, *params.p), device, now)
    communicators = alone_in(mesh, rank, absent, device)
    own, arena = MeshDevice(program, params, keys, communicators), params.ring.arena
    with memory_for(f"rank {rank} of {mesh.world_size}, replayed"):
        own.prepare(context)
        arena.reserve(reserved_bytes)
        mine = {name: replace(x, parts=arena.copy(x.parts)) for name, x in inputs.items() if own.reads(name)}
        clock = NodeClock(absent, torch.device(device))
        execution = own.run(mine, context, clock)
    return ReplayedRank(
        rank=rank,
        execution=execution,
        communicators=communicators,
        node_seconds=clock.seconds,
        written_seconds=absent.seconds,
    )


def alone_in(
    mesh: Mesh, rank: int, absent: AbsentRanks, device: torch.device | str = "cpu"
) -> MeshCommunicators:
    """A rank's communicators in a mesh whose other ranks are absent."""
    group, place = mesh.place(rank)
    of = partial(Communicator, device=device, host=absent)
    return MeshCommunicators(
        mesh=mesh,
        tokens=of(rank=group, world_size=mesh.tokens, axis=TOKEN_AXIS),
        limbs=of(rank=place, world_size=mesh.limbs, axis=LIMB_AXIS),
        team=of(rank=rank, world_size=mesh.world_size, axis=TEAM_AXIS),
    )


class NodeClock:
    """A `StepObserver`. seconds: of each node, from the end of the node before to its own, on its device:
    what is posted, put together and ended in between is the next node's. Writing what comes is left out.
    """

    def __init__(self, absent: AbsentRanks, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._absent, self._device = absent, device

    def begin(self) -> None:
        """From now on."""
        self._ended = self._now()

    def after(self, step: Step, waited: float, began: float, ended: float) -> None:
        """As `StepObserver`."""
        if isinstance(step, Ready):
            now = self._now()
            self.seconds[step.node.name] = now - self._ended
            self._ended = now

    def _now(self) -> float:
        """By the clock of the absent ranks, without what they wrote."""
        finish(self._device)
        return self._absent.now() - self._absent.seconds
