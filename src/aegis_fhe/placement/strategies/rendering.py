"""What a strategy makes of a layer: how it lies in ciphertexts, its parts, and who computes which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.schedule import TEAM, Assignment, Place
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.long.divide import Division, NodeDivisions
from aegis_fhe.program.long.shape_program import Packing
from aegis_fhe.program.operators import Refresh

# Of a node that is no bootstrap: who computes it.
Rule: TypeAlias = Callable[[Node], Place]


# Rotated inputs that an operator may hold, tried in turn until a rendering fits.
BABIES = (None, 1024, 256, 64)


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """One way to run a layer. strategy, variant: its name; rule: see `place`.

    places_refreshes: the rule is asked for bootstraps too.
    """

    strategy: str
    variant: str
    packing: Packing
    division: Division | NodeDivisions
    mesh: Mesh
    limbs: LimbPlacement
    rule: Rule
    places_refreshes: bool = False

    @property
    def in_chunks(self) -> bool:
        """Whether attention holds its babies in chunks, the same for all nodes."""
        return isinstance(self.division, Division) and self.division.chunks > 1

    def with_babies(self, most: int | None) -> Rendering:
        """The same with at most so many of them: they take less memory and more rotations."""
        packing = replace(self.packing, most_babies=most)
        variant = self.variant if most is None else f"{self.variant} b{most}"
        return replace(self, packing=packing, variant=variant)

    def assignment(self, graph: Graph) -> Assignment:
        """Where each node of the divided graph is computed."""
        if self.places_refreshes:
            return Assignment(mesh=self.mesh, where={node.name: self.rule(node) for node in graph.nodes})
        return Assignment(mesh=self.mesh, where=place(graph, self.rule))


def place(graph: Graph, rule: Rule) -> Mapping[str, Place]:
    """Who computes every node; a bootstrap is computed where its first value was made, by one group."""
    where: dict[str, Place] = {}
    made: dict[str, Place] = {}
    for node in graph.nodes:
        groups = rule(node)
        if isinstance(node.operator, Refresh):
            first = made[node.inputs[0]]
            groups = first if first is TEAM else first[:1]
        where[node.name] = groups
        made.update(dict.fromkeys(node.outputs, groups))
    return where
