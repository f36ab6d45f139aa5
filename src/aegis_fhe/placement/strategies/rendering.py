"""What a strategy makes of a layer: how it lies in ciphertexts, its parts, and who computes which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.schedule import Assignment
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.long.shape_program import Packing
from aegis_fhe.program.operators import Refresh

# Of a node that is no bootstrap: the groups that compute it.
Rule: TypeAlias = Callable[[Node], tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """One way to run a layer. strategy, variant: its name; rule: see `place`."""

    strategy: str
    variant: str
    packing: Packing
    division: Division
    mesh: Mesh
    limbs: LimbPlacement
    rule: Rule

    def assignment(self, graph: Graph) -> Assignment:
        """Where each node of the divided graph is computed."""
        return Assignment(mesh=self.mesh, where=place(graph, self.rule))


def place(graph: Graph, rule: Rule) -> Mapping[str, tuple[int, ...]]:
    """The groups of every node; a bootstrap is computed by the group that made its first value."""
    where: dict[str, tuple[int, ...]] = {}
    made: dict[str, tuple[int, ...]] = {}
    for node in graph.nodes:
        groups = made[node.inputs[0]][:1] if isinstance(node.operator, Refresh) else rule(node)
        where[node.name] = groups
        made.update(dict.fromkeys(node.outputs, groups))
    return where
