"""Parts of a product that begin with the terms of what their group turns itself: see `product_terms`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.divide.division import as_part, changed, part_of
from aegis_fhe.program.long.even_ranges import even_ranges
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.long.product_terms import ProductSums, ProductTerms

# Of a group's results: their own terms take longer than others' babies are still on their way, mostly, and
# inner sums of all would take much memory.
SHARE = 1 / 3


def own_first(node: Node, parts: Sequence[Node], groups: int) -> Iterator[Node]:
    """Own terms of some results of each group, those of the others on top of them, then all results.

    parts: of a product whose inputs come as their babies, part p of group p mod groups. They stay as they are
    where there is no column for each group.
    """
    if len(node.inputs) < groups:
        yield from parts
        return
    leading, rest = list[Node](), list[Node]()
    for group in range(groups):
        own = parts[group::groups]
        left = math.ceil(sum(len(part.outputs) for part in own) * SHARE)
        for part in own:
            early, late = _split(part, left)
            leading += early
            rest += late
            left -= sum(len(one.outputs) for one in early)
    terms = [tuple(_terms(node, part, groups)) for part in leading]
    for step in zip(*terms, strict=True):
        yield from step
    yield from rest


def _split(part: Node, count: int) -> tuple[list[Node], list[Node]]:
    """The node of the first results, and that of the others, if any are."""
    if count >= len(part.outputs):
        return [part], []
    if count <= 0:
        return [], [part]
    product = _product(part)
    assert product.columns is not None
    first, last = product.columns
    cuts = ("", (first, first + count)), (".late", (first + count, last))
    found = [
        changed(
            part,
            name=f"{part.name.rpartition('~')[0]}{role}~{part.name.rpartition('~')[2]}",
            operator=msgspec.structs.replace(product, columns=columns),
            outputs=part.outputs[columns[0] - first : columns[1] - first],
        )
        for role, columns in cuts
    ]
    return found[:1], found[1:]


def _terms(node: Node, part: Node, groups: int) -> Iterator[Node]:
    """Own terms, all terms, results."""
    count, number = len(node.inputs), part_of(part)
    shares = even_ranges(count, groups)
    own = tuple(range(*shares[number % len(shares)]))
    others = tuple(column for column in range(count) if column not in own)
    sums: Sequence[str] = ()
    for role, columns, before in ((".own", own, ()), (".others", others, own)):
        product = _product(part)
        operator = ProductTerms(product, columns, before)
        babies = [x for c in columns for x in part.inputs[c * product.baby : (c + 1) * product.baby]]
        made = [f"{node.name}{role}{number}.{k}" for k in range(operator.sums)]
        yield as_part(node, number, operator, [*babies, *sums], made, role=role)
        sums = made
    yield changed(part, operator=ProductSums(_product(part)), inputs=tuple(sums))


def _product(part: Node) -> MatrixProduct:
    assert isinstance(part.operator, MatrixProduct)
    return part.operator
