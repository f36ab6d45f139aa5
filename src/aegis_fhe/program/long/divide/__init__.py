"""A graph in which large nodes are parts, so that each part may be computed somewhere else.

How a graph is divided belongs to the program: it never depends on how many devices there are, so one device
makes the same bits from it as any number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.divide.attention import divide_attention
from aegis_fhe.program.long.divide.division import Division, NodeDivisions, part_of
from aegis_fhe.program.long.divide.grids import divide_grid
from aegis_fhe.program.long.divide.rewrites import REWRITES, without
from aegis_fhe.program.long.matrix_product import ColumnBabies

__all__ = ["REWRITES", "Division", "NodeDivisions", "divide", "divide_nodes", "part_of", "without"]


def divide(graph: Graph, division: Division | NodeDivisions) -> Graph:
    """The graph with its large nodes in parts; values keep their names, parts of sums get new ones."""
    return Graph(tuple(divide_nodes(graph.nodes, division)), graph.results)


def divide_nodes(nodes: Iterable[Node], division: Division | NodeDivisions) -> Iterator[Node]:
    """The same for some of its nodes.

    Babies that parts share come before the parts of the node before, where they do not depend on it: another
    device's are on their way while this one computes. Unless "early babies" is switched off.
    """
    waiting: list[Node] = []
    for node in nodes:
        own = division.of(node)
        parts = list(_parts(node, own))
        turns = [part for part in parts if isinstance(part.operator, ColumnBabies)]
        made = {value for part in waiting for value in part.outputs}
        needed = any(made & set(part.inputs) for part in turns)
        if not turns or needed or "early babies" in own.without:
            yield from waiting
            waiting = []
        yield from turns
        yield from waiting
        waiting = [part for part in parts if part not in turns]
    yield from waiting


def _parts(node: Node, division: Division) -> Iterator[Node]:
    if isinstance(node.operator, StreamingAttention):
        yield from divide_attention(node, node.operator, division)
    elif division.parts_of(node) == 1 and node.stage not in division.shared:
        yield node
    else:
        yield from divide_grid(node, division)
