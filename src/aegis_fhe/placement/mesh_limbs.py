"""Limbs on the devices of a mesh: of values on one group, of values of the team, and of moves between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.moves import Form, ValueMove


@dataclass(frozen=True)
class MeshLimbs:
    """limbs: how the M devices of a group share a value.

    In the team limb i of q lies on rank i mod T M, which is device i mod M of its group: what a device has in
    the team is a part of what it would have of the whole value, so that every move stays between devices of
    the same place in their groups.
    """

    mesh: Mesh
    limbs: LimbPlacement

    @cached_property
    def team(self) -> LimbPlacement:
        """How all T M devices share a value."""
        return self.limbs.shared_by(self.mesh.world_size)

    def held(self, form: Form, level: int, rank: int) -> tuple[int, ...]:
        """Limbs of a value on one device that has it in this form."""
        placement, device = self._place(form, rank)
        return placement.q_limbs(level, device)

    def specials(self, form: Form, rank: int) -> tuple[int, ...]:
        """Special limbs on which one device computes with values in this form."""
        placement, device = self._place(form, rank)
        return placement.p_limbs(device)

    def moved(self, move: ValueMove, destination: int, level: int, device: int) -> tuple[int, ...]:
        """Limbs that go from device `device` of the source to device `device` of one destination."""
        form: Form = "whole" if move.way == "copy" else "shared"
        return self.held(form, level, self.mesh.rank(self.end(move, destination), device))

    def end(self, move: ValueMove, destination: int) -> int:
        """The group whose limbs go: all groups have the same of a whole value."""
        return {"copy": 0, "scatter": destination, "gather": move.source}[move.way]

    def _place(self, form: Form, rank: int) -> tuple[LimbPlacement, int]:
        """Among whom, and as which of them."""
        return (self.team, rank) if form == "shared" else (self.limbs, self.mesh.place(rank)[1])
