"""A graph without what its results do not need."""

from __future__ import annotations

import msgspec

from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.operators import Refresh


def prune(graph: Graph) -> Graph:
    """The same results from the nodes that lead to them; a value refreshed for nobody leaves its pair.

    Where one token alone is wanted, the last layer of the other blocks goes, but for their keys and values.
    """
    needed, kept = set(graph.results), []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            node = _halved(node, needed)
            kept.append(node)
            needed.update(node.inputs)
    return Graph(tuple(reversed(kept)), graph.results)


def _halved(node: Node, needed: set[str]) -> Node:
    """A bootstrap's inputs and outputs belong together one by one."""
    if not isinstance(node.operator, Refresh):
        return node
    pairs = [(x, y) for x, y in zip(node.inputs, node.outputs, strict=True) if y in needed]
    inputs, outputs = zip(*pairs, strict=True)
    return msgspec.structs.replace(node, name=outputs[0], inputs=inputs, outputs=outputs)
