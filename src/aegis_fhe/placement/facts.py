"""What every node of a graph does, from one symbolic run: operations, levels, exchanges of limbs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.limb_traffic import LimbTraffic, RowCollective
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.operators import Context, Input, Operator


@dataclass(frozen=True)
class NodeFacts:
    """counts: of its operations; collectives: of limbs, where they are shared; outputs: its values."""

    counts: OperationCounts
    collectives: tuple[RowCollective, ...]
    outputs: tuple[Symbol, ...]


@dataclass(frozen=True, kw_only=True)
class GraphFacts:
    """nodes: by name; symbols: level, scale and components of every value."""

    nodes: Mapping[str, NodeFacts]
    symbols: Mapping[str, Symbol]


# What nodes do that were seen before: an operator on inputs of the same levels and scales.
Seen = dict[tuple[Operator, tuple[Symbol, ...]], NodeFacts]


def graph_facts(
    graph: Graph,
    params: Parameters,
    limbs: LimbPlacement,
    context: Context,
    inputs: Mapping[str, Symbol],
    seen: Seen | None = None,
) -> GraphFacts:
    """inputs: of each input ciphertext. seen: of graphs with the same parameters, placement and context.

    Equal operators on equal inputs run once. Raises what the program's operators raise on symbols.
    """
    known = {} if seen is None else seen
    symbols: dict[str, Symbol] = dict(inputs)
    nodes: dict[str, NodeFacts] = {}
    for node in graph.nodes:
        if isinstance(node.operator, Input):
            nodes[node.name] = NodeFacts(OperationCounts(), (), tuple(symbols[x] for x in node.outputs))
            continue
        found = _node(node, symbols, params, limbs, context, known)
        nodes[node.name] = found
        symbols.update(zip(node.outputs, found.outputs, strict=True))
    return GraphFacts(nodes=nodes, symbols=symbols)


def _node(
    node: Node,
    symbols: Mapping[str, Symbol],
    params: Parameters,
    limbs: LimbPlacement,
    context: Context,
    known: Seen,
) -> NodeFacts:
    # Whether two inputs are one value matters to sums of rotations, so copies of a symbol are told apart.
    places = {name: replace(symbols[name]) for name in node.inputs}
    inputs = tuple(places[name] for name in node.inputs)
    key = node.operator, inputs
    alike = len(places) == len(node.inputs)
    if not alike or key not in known:
        backend = LimbTraffic(params, limbs)
        values: dict[str, Symbol] = dict(places)
        run_node(node, backend, values, context)
        made = NodeFacts(
            backend.counts, tuple(backend.collectives), tuple(values[name] for name in node.outputs)
        )
        if not alike:
            return made
        known[key] = made
    return known[key]
