"""What every node of a graph does, from one symbolic run: operations, levels, exchanges of limbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeAlias

from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.limb_traffic import RowCollective
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.node_memory import NodeMemory
from aegis_fhe.program.graph import Graph
from aegis_fhe.program.known_nodes import KnownNodes
from aegis_fhe.program.operators import Context, Input


@dataclass(frozen=True)
class NodeFacts:
    """counts: of its operations; collectives: of limbs, where they are shared; rows: of N residues that it
    takes at its fullest moment besides its inputs, on one device of a group, by default its first.
    digit_keys: by step, the highest level of sums that are aggregated, whose keys are not among counts.keys.
    views: outputs that are in the memory of an input, (place of the output, of the input).
    """

    counts: OperationCounts
    collectives: tuple[RowCollective, ...] = ()
    rows: int = 0
    digit_keys: Mapping[int | str, int] = field(default_factory=dict)
    views: tuple[tuple[int, int], ...] = ()

    @cached_property
    def rows_received(self) -> Mapping[tuple[str, int], int]:
        """By kind of collective and device of those that share limbs."""
        found: dict[tuple[str, int], int] = {}
        for collective in self.collectives:
            for device, rows in enumerate(collective.received):
                key = collective.operation, device
                found[key] = found.get(key, 0) + rows
        return found


@dataclass(frozen=True, kw_only=True)
class GraphFacts:
    """nodes: by name; symbols: level, scale and components of every value."""

    nodes: Mapping[str, NodeFacts]
    symbols: Mapping[str, Symbol]


Seen: TypeAlias = KnownNodes[NodeFacts]


def nothing_seen(params: Parameters, limbs: LimbPlacement, device: int = 0) -> Seen:
    """For graphs on these parameters and this placement, all of one context. device: whose memory is looked
    at, of those that share limbs.
    """
    return KnownNodes(partial(NodeMemory, params, limbs, device), node_facts)


def graph_facts(
    graph: Graph,
    context: Context,
    inputs: Mapping[str, Symbol],
    seen: Seen,
    others: Mapping[str, Seen] | None = None,
) -> GraphFacts:
    """inputs: of each input ciphertext. others: for nodes, by name, whose limbs are placed in another way.

    Raises what the program's operators raise on symbols.
    """
    symbols: dict[str, Symbol] = dict(inputs)
    nodes: dict[str, NodeFacts] = {}
    others = {} if others is None else others
    for node in graph.nodes:
        if isinstance(node.operator, Input):
            nodes[node.name] = NodeFacts(OperationCounts())
        else:
            nodes[node.name] = others.get(node.name, seen).run(node, symbols, context)
    return GraphFacts(nodes=nodes, symbols=symbols)


def node_facts(found: NodeMemory, outputs: Sequence[Symbol]) -> NodeFacts:
    """What an interpreter learned that ran a node, as `KnownNodes` gives it its inputs."""
    views = tuple((place, x.held) for place, x in enumerate(outputs) if isinstance(x.held, int))
    return NodeFacts(found.counts, tuple(found.collectives), found.peak, found.digit_keys, views)
