"""The communicators of one device of a mesh: one for each direction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.traffic import LIMB_AXIS, TEAM_AXIS, TOKEN_AXIS
from aegis_fhe.ring.arena import Arena
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.host_memory import CONTROL_RING_BYTES
from aegis_fhe.runtime.ledger import Entry, totals


@dataclass(frozen=True, kw_only=True)
class MeshCommunicators:
    """tokens: the devices that hold the same limbs; limbs: those of a group, which share limbs; team: all."""

    mesh: Mesh
    tokens: Communicator
    limbs: Communicator
    team: Communicator

    @property
    def group(self) -> int:
        """This device's group."""
        return self.tokens.rank

    @property
    def device(self) -> int:
        """This device within its group."""
        return self.limbs.rank

    @property
    def rank(self) -> int:
        """This device among all."""
        return self.mesh.rank(self.group, self.device)

    def receive_into(self, arena: Arena) -> None:
        """What other devices send lies there from now on, like all else that this device computes with."""
        for communicator in (self.tokens, self.limbs, self.team):
            communicator.allocate = arena.empty

    def entries(self) -> tuple[Entry, ...]:
        """What was exchanged so far, as one entry for each axis, stage and kind, without control messages."""
        return totals(one.ledger.entries for one in (self.tokens, self.limbs, self.team))

    def exchanged(self, entries: Iterable[Entry]) -> None:
        """What an earlier run exchanged up to where this one begins."""
        by_axis = {one.axis: one.ledger for one in (self.tokens, self.limbs, self.team)}
        for entry in entries:
            by_axis[entry.axis].add(entry)

    def received(self) -> dict[tuple[str, str, str], int]:
        """Bytes received for each (axis, stage, kind of collective), as `placement.traffic` predicts them."""
        found = {}
        for communicator in (self.tokens, self.limbs, self.team):
            for (node, operation), count in communicator.ledger.by_collective().items():
                found[communicator.axis, node, operation] = count
        return found


def connect_mesh(world: Communicator, mesh: Mesh, *, host_memory: bool = False) -> MeshCommunicators:
    """Splits a connected world; every rank calls it. host_memory: devices of one host exchange through memory
    that they share, and so does the world from now on, if it is on one. Raises CompatibilityError for a mesh
    of another size.
    """
    if world.world_size != mesh.world_size:
        raise CompatibilityError(
            f"a plan for {mesh.tokens} x {mesh.limbs} devices cannot run on {world.world_size}"
        )
    group, device = mesh.place(world.rank)
    part = partial(world.part, host_memory=host_memory)
    found = MeshCommunicators(
        mesh=mesh,
        tokens=part(mesh.columns(), group, TOKEN_AXIS),
        limbs=part(mesh.groups(), device, LIMB_AXIS),
        team=part([range(mesh.world_size)], world.rank, TEAM_AXIS),
    )
    if host_memory:
        world.use_host_memory(CONTROL_RING_BYTES)
    return found
