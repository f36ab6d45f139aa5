"""Seconds that nodes took on every device by itself, as a timeline asks for them, and what follows.

A projection: computing was measured, on one device that took the part of each in turn; what passes between
devices, and who waits for whom, is the schedule's on links as they are described.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.placement.timeline import GroupSeconds
from aegis_fhe.program.graph import Node


def replayed_seconds(plan: Schedule, ranks: Sequence[Mapping[str, float]]) -> GroupSeconds:
    """ranks: of each device in order, the seconds of its nodes by name. A group takes as long as the slowest
    of its devices, and the team, which meets inside its nodes, as the slowest of all.

    Raises CompatibilityError where a device or one of its nodes is missing.
    """
    mesh = plan.mesh
    if len(ranks) != mesh.world_size:
        raise CompatibilityError(
            f"{len(ranks)} ranks were replayed of a plan for {mesh.world_size} devices: replay each once"
        )
    for rank, own in enumerate(ranks):
        missing = {node.name for node in plan.nodes_of(mesh.place(rank)[0])} - set(own)
        if missing:
            raise CompatibilityError(
                f"rank {rank} was replayed without {len(missing)} of its nodes, such as {min(missing)}: it "
                "was of another plan"
            )
    devices = mesh.groups()

    def of(node: Node, groups: Sequence[int]) -> Sequence[float]:
        slowest = [max(ranks[rank][node.name] for rank in devices[group]) for group in groups]
        return [max(slowest)] * len(groups) if plan.assignment.form(node) == "shared" else slowest

    return of


def efficiency(alone: float, devices: int, together: float) -> float:
    """T(1) / (G T(G)); seconds of one device's best plan, and of G devices."""
    return alone / (devices * together)
