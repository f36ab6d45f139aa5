"""Memory of one device of a schedule, from shapes: keys, weights, values, and what operators hold inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost import RESIDUE_BYTES
from aegis_fhe.placement.device_keys import KeyUse, device_keys
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.fullest_moment import copied_rows, fullest_moment
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.long.product_terms import ProductTerms


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """Bytes on one device, predicted or measured (`runtime.mesh.held`). keys: both halves of each, for the
    limbs it computes with. weights: of products, as coefficients. activations: values alive at the fullest
    moment, received ones among them. workspace: what the operator of that moment takes besides, its results,
    babies and partial sums included (`node_memory`).
    """

    keys: int
    weights: int
    activations: int
    workspace: int

    @property
    def total(self) -> int:
        """Everything."""
        return self.keys + self.weights + self.activations + self.workspace

    def by_kind(self) -> dict[str, int]:
        """With the total."""
        return {**asdict(self), "total": self.total}


def device_memory(
    plan: Schedule,
    facts: GraphFacts,
    params: Parameters,
    limbs: LimbPlacement,
    rank: int,
    results: Sequence[str] = (),
) -> DeviceMemory:
    """Of one device. facts: as it computes. limbs: of one group. results: stay to the end."""
    group, _ = plan.mesh.place(rank)
    layout = MeshLimbs(plan.mesh, limbs)
    keys = device_keys(plan, facts, params, layout, rank)
    copied = copied_rows(keys, params, layout, rank)
    alive, inside = fullest_moment(plan, facts, params, layout, rank, results, copied)
    return DeviceMemory(
        keys=keys.nbytes(params.degree),
        weights=weight_bytes(plan.nodes_of(group), params),
        activations=alive,
        workspace=inside,
    )


def fullest_memory(
    plan: Schedule,
    facts: GraphFacts,
    params: Parameters,
    limbs: LimbPlacement,
    results: Sequence[str] = (),
) -> DeviceMemory:
    """Of the group that needs most: values and workspace of its first device, where most limbs lie, and keys
    of that which holds most of them, as special limbs may lie elsewhere. facts: of first devices.
    """
    layout, mesh = MeshLimbs(plan.mesh, limbs), plan.mesh
    found = []
    for group in range(mesh.tokens):
        first = device_memory(plan, facts, params, limbs, mesh.rank(group, 0), results)
        if mesh.limbs > 1:
            use, ranks = KeyUse.of(plan, facts, group), (mesh.rank(group, d) for d in range(mesh.limbs))
            keys = max(use.on(rank, params, layout).nbytes(params.degree) for rank in ranks)
            first = replace(first, keys=keys)
        found.append(first)
    return max(found, key=lambda memory: memory.total)


def weight_bytes(nodes: Iterable[Node], params: Parameters) -> int:
    """Coefficients of the plaintexts of products, 2S each, of every operator once: they are transformed where
    they are used. Those of full length, where a text has one token, are encoded anew each time.
    """
    matrices = {node.operator for node in nodes if isinstance(node.operator, MatrixProduct | ProductTerms)}
    return sum(
        encoded_plaintexts(m) * 2 * m.source.sub_slots * RESIDUE_BYTES
        for m in matrices
        if m.source.sub_slots < params.slots
    )


@lru_cache(maxsize=4096)
def encoded_plaintexts(operator: MatrixProduct | ProductTerms) -> int:
    """Searches ask for the same parts again and again."""
    return operator.encoded()
