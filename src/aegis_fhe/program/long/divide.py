"""A graph in which large nodes are parts, so that each part may be computed somewhere else.

How a graph is divided belongs to the program: it never depends on how many devices there are, so one device
makes the same bits from it as any number. Outputs that do not depend on each other may be parts without any
change; sums may be parts where their order is no one's business (they are exact modulo each prime), and
products by rows, whose parts are rounded each for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.long.slotwise import AddFeatures, Each, WeightedProduct
from aegis_fhe.program.long.statistics import FeatureSum, SquareSum
from aegis_fhe.program.operators import Add, Operator


@dataclass(frozen=True, kw_only=True)
class Division:
    """Into how many parts the columns of a grid go.

    rows: stages whose products are sums over parts of their inputs instead ("output", "contract" as they
    follow a stage that is divided by heads or units).
    """

    parts: int
    rows: frozenset[str] = frozenset()

    def ranges(self, columns: int) -> list[tuple[int, int]]:
        """Consecutive, as even as they can be, none of them empty."""
        parts = min(self.parts, columns)
        return [(i * columns // parts, (i + 1) * columns // parts) for i in range(parts)]


def divide(graph: Graph, division: Division) -> Graph:
    """The graph with its large nodes in parts; values keep their names, parts of sums get new ones."""
    nodes = [part for node in graph.nodes for part in _parts(node, division)]
    return Graph(tuple(nodes), graph.results)


def part_of(node: Node) -> int:
    """The number of a node among the parts of one; 0 for whole ones."""
    _, _, number = node.name.partition("~")
    return int(number) if number else 0


def _parts(node: Node, division: Division) -> Iterator[Node]:
    operator = node.operator
    if division.parts == 1:
        yield node
    elif isinstance(operator, MatrixProduct) and node.stage in division.rows:
        yield from _by_rows(node, operator, division)
    elif isinstance(operator, FeatureSum) and len(node.inputs) > division.parts:
        yield from _sum(node, Add(), operator, division)
    elif isinstance(operator, SquareSum) and not operator.excess and len(node.inputs) > division.parts:
        yield from _sum(node, operator, Add(), division)
    else:
        yield from _by_columns(node, division)


def _by_columns(node: Node, division: Division) -> Iterator[Node]:
    """Some outputs each, from the inputs that they depend on."""
    ranges = division.ranges(len(node.outputs))
    parts = [_columns(node.operator, node.inputs, *one) for one in ranges]
    if len(ranges) == 1 or any(part is None for part in parts):
        yield node
        return
    for number, (first, last) in enumerate(ranges):
        found = parts[number]
        assert found is not None
        operator, inputs = found
        yield _part(node, number, operator, inputs, node.outputs[first:last])


def _columns(
    operator: Operator, inputs: Sequence[str], first: int, last: int
) -> tuple[Operator, tuple[str, ...]] | None:
    """What makes the outputs first..last - 1; None for what makes them together."""
    match operator:
        case Each(columns=columns, shared=shared):
            grids = inputs[: len(inputs) - shared]
            chosen = [
                x for start in range(0, len(grids), columns) for x in grids[start + first : start + last]
            ]
            common = inputs[len(grids) :]
            return Each(operator.operator, last - first, shared), (*chosen, *common)
        case MatrixProduct(columns=None, rows=None):
            return msgspec.structs.replace(operator, columns=(first, last)), tuple(inputs)
        case WeightedProduct(columns=None):
            part = msgspec.structs.replace(operator, columns=(first, last))
            return part, (*inputs[first:last], inputs[-1])
        case AddFeatures(columns=None):
            return msgspec.structs.replace(operator, columns=(first, last)), tuple(inputs[first:last])
        case _:
            return None


def _by_rows(node: Node, operator: MatrixProduct, division: Division) -> Iterator[Node]:
    """A product over some inputs in each part, and for each part of the outputs the sums."""
    ranges = division.ranges(len(node.inputs))
    for number, (first, last) in enumerate(ranges):
        names = tuple(f"{value}~{number}" for value in node.outputs)
        part = msgspec.structs.replace(operator, rows=(first, last))
        yield _part(node, number, part, node.inputs[first:last], names)
    for number, (first, last) in enumerate(division.ranges(len(node.outputs))):
        outputs = node.outputs[first:last]
        terms = tuple(f"{value}~{part}" for part in range(len(ranges)) for value in outputs)
        yield _part(node, number, Each(Add(), len(outputs)), terms, outputs, suffix="sum")


def _sum(node: Node, inner: Operator, outer: Operator, division: Division) -> Iterator[Node]:
    """One value for each part of the inputs, and one of those."""
    ranges = division.ranges(len(node.inputs))
    names = tuple(f"{node.outputs[0]}~{number}" for number in range(len(ranges)))
    for number, (first, last) in enumerate(ranges):
        yield _part(node, number, inner, node.inputs[first:last], names[number : number + 1])
    yield _changed(node, operator=outer, inputs=names)


def _part(
    node: Node,
    number: int,
    operator: Operator,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    suffix: str = "",
) -> Node:
    return _changed(
        node,
        name=f"{node.name}{suffix}~{number}",
        operator=operator,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
    )


def _changed(node: Node, **changes: object) -> Node:
    """The node with some fields changed."""
    return msgspec.structs.replace(node, **changes)
