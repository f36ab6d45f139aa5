"""A layer's graph as operators that a planner chooses for: consecutive nodes of one stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.operators import Input


@dataclass(frozen=True)
class Run:
    """nodes: undivided, in the graph's order. name: of the stage and its first node."""

    name: str
    stage: str
    nodes: tuple[Node, ...]

    @property
    def outside(self) -> list[str]:
        """Values from other runs, each once."""
        own = {value for node in self.nodes for value in node.outputs}
        read = dict.fromkeys(value for node in self.nodes for value in node.inputs)
        return [value for value in read if value not in own]


def runs_of(graph: Graph) -> list[Run]:
    """All but the inputs."""
    found = []
    for stage, nodes in graph.stages():
        own = tuple(node for node in nodes if not isinstance(node.operator, Input))
        if own:
            found.append(Run(f"{stage}: {own[0].name.partition('[')[0]}", stage, own))
    return found


def columns_of(graph: Graph) -> Mapping[str, tuple[int, int]]:
    """Of every value (column, columns) of the grid that it belongs to: those of one kind and token block.

    A bootstrap's values lie as its inputs do.
    """
    found: dict[str, tuple[int, int]] = {}
    for node in graph.nodes:
        if node.stage == "refresh":
            found.update(zip(node.outputs, (found[x] for x in node.inputs), strict=True))
        elif isinstance(node.operator, Input):
            found[node.outputs[0]] = (_number(node.name), 0)
        else:
            found.update(zip(node.outputs, _places(node), strict=True))
    inputs = [x for x, (_, columns) in found.items() if not columns]
    count = 1 + max((found[x][0] for x in inputs), default=0)
    found.update({x: (found[x][0], count) for x in inputs})
    return found


def _places(node: Node) -> Iterator[tuple[int, int]]:
    """Column by column; a product may make several grids, attention makes one for each block, then D."""
    match node.operator:
        case MatrixProduct(targets=targets):
            sizes = [target.columns for target in targets]
        case StreamingAttention(weighs=True, keeps=False) as attention:
            blocks = len(attention.query_blocks)
            sizes = [attention.scores.columns] * blocks + [1] * blocks
        case _:
            sizes = [len(node.outputs)]
    return ((column, size) for size in sizes for column in range(size))


def _number(name: str) -> int:
    """x.3[0] -> 3."""
    return int(name.partition("[")[0].rpartition(".")[2])
