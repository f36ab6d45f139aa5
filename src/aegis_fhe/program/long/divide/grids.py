"""Parts of operators on grids.

Outputs that do not depend on each other may be parts without any change; sums may be parts where their order
is no one's business (they are exact modulo each prime), and products by rows, whose parts are rounded each
for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.divide.division import Division, as_part, changed, in_turns
from aegis_fhe.program.long.divide.own_first import own_first
from aegis_fhe.program.long.even_ranges import even_ranges
from aegis_fhe.program.long.heads import AddHeads, PlaceHeads
from aegis_fhe.program.long.matrix_product import ColumnBabies, MatrixProduct
from aegis_fhe.program.long.slotwise import AddFeatures, Each, WeightedProduct
from aegis_fhe.program.long.statistics import FeatureSum, SquareSum
from aegis_fhe.program.operators import Add, Operator


def divide_grid(node: Node, division: Division) -> Iterator[Node]:
    """The parts of one node, or the node itself."""
    operator = node.operator
    if isinstance(operator, MatrixProduct) and node.stage in division.rows:
        yield from _by_rows(node, operator, division)
    elif isinstance(operator, MatrixProduct) and node.stage in division.shared:
        yield from _with_babies(node, operator, division)
    elif isinstance(operator, FeatureSum) and len(node.inputs) > division.parts_of(node):
        yield from _sum(node, Add(), operator, division)
    elif (
        isinstance(operator, SquareSum) and not operator.excess and len(node.inputs) > division.parts_of(node)
    ):
        yield from _sum(node, operator, Add(), division)
    else:
        yield from _by_columns(node, division)


def _by_columns(node: Node, division: Division) -> Iterator[Node]:
    """Some outputs each, from the inputs that they depend on."""
    ranges = even_ranges(len(node.outputs), division.parts_of(node))
    parts = [_columns(node.operator, node.inputs, *one) for one in ranges]
    if len(ranges) == 1 or any(part is None for part in parts):
        yield node
        return
    for number, (first, last) in enumerate(ranges):
        found = parts[number]
        assert found is not None
        operator, inputs = found
        yield as_part(node, number, operator, inputs, node.outputs[first:last])


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
            # With the babies of the whole: the same rotations, and so the same bits.
            own = msgspec.structs.replace(operator, columns=(first, last), babies=operator.baby)
            return own, tuple(inputs)
        case WeightedProduct(columns=None):
            part = msgspec.structs.replace(operator, columns=(first, last))
            return part, (*inputs[first:last], inputs[-1])
        case PlaceHeads(placement=placement, cosine=cosine):
            # Only rotary pairs tie columns together, those of one head group.
            aligned = first % placement.head_dim == last % placement.head_dim == 0
            return (operator, tuple(inputs[first:last])) if aligned or cosine is None else None
        case AddHeads(first=0):
            return msgspec.structs.replace(operator, first=first), tuple(inputs[first:last])
        case AddFeatures(columns=None):
            return msgspec.structs.replace(operator, columns=(first, last)), tuple(inputs[first:last])
        case _:
            return None


def _with_babies(node: Node, operator: MatrixProduct, division: Division) -> Iterator[Node]:
    """Nodes that turn some columns in each, and the outputs' parts, with the babies of the whole."""
    baby, ranges = operator.baby, even_ranges(len(node.inputs), division.parts * division.shares)
    names = [f"{x}.{node.name}.turned{j}" for x in node.inputs for j in range(baby)]
    groups = 1 if "turns" in division.without else division.parts
    for turn in in_turns(len(ranges), groups):
        for number in turn.values():
            first, last = ranges[number]
            made, own = names[first * baby : last * baby], node.inputs[first:last]
            yield as_part(node, number, ColumnBabies(baby), own, made, role=".babies")
    whole = changed(
        node, operator=msgspec.structs.replace(operator, babies=baby, turned=True), inputs=tuple(names)
    )
    parts = list(_by_columns(whole, division))
    begins = division.own_first and "own terms" not in division.without
    if begins and not node.block and len(parts) > 1:
        parts = list(own_first(node, parts, division.parts))
    yield from parts


def _by_rows(node: Node, operator: MatrixProduct, division: Division) -> Iterator[Node]:
    """A product over some inputs in each part, and for each part of the outputs the sums."""
    ranges = even_ranges(len(node.inputs), division.parts_of(node))
    for number, (first, last) in enumerate(ranges):
        names = tuple(f"{value}~{number}" for value in node.outputs)
        part = msgspec.structs.replace(operator, rows=(first, last))
        yield as_part(node, number, part, node.inputs[first:last], names)
    for number, (first, last) in enumerate(even_ranges(len(node.outputs), division.parts_of(node))):
        outputs = node.outputs[first:last]
        terms = tuple(f"{value}~{part}" for part in range(len(ranges)) for value in outputs)
        yield as_part(node, number, Each(Add(), len(outputs)), terms, outputs, role="sum")


def _sum(node: Node, inner: Operator, outer: Operator, division: Division) -> Iterator[Node]:
    """One value for each part of the inputs, and one of those."""
    ranges = even_ranges(len(node.inputs), division.parts_of(node))
    names = tuple(f"{node.outputs[0]}~{number}" for number in range(len(ranges)))
    for number, (first, last) in enumerate(ranges):
        yield as_part(node, number, inner, node.inputs[first:last], names[number : number + 1])
    yield changed(node, operator=outer, inputs=names)
