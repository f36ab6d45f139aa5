"""Attention in parts: by token blocks of queries, by giant steps, with keys and values turned apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.divide.attention_names import AttentionNames, sum_parts
from aegis_fhe.program.long.divide.chunks import chunked
from aegis_fhe.program.long.divide.division import Division, as_part
from aegis_fhe.program.long.even_ranges import even_ranges


def divide_attention(node: Node, operator: StreamingAttention, division: Division) -> Iterator[Node]:
    """Nodes that turn K and V, the parts, and their sums. Passes with resident scores stay whole."""
    blocks = len(operator.query_blocks) if division.queries else 1
    steps = even_ranges(len(operator.giant_steps), division.giants)
    whole = blocks == 1 and len(steps) == 1 and not (division.babies or division.chunks)
    if operator.resident or operator.keeps or whole:
        yield node
        return
    names = AttentionNames.of(node, operator)
    if division.chunks and not operator.rounds:
        yield from chunked(names, division, steps)
        return
    if division.babies:
        yield from names.turn(division.parts)
    for block in range(blocks):
        queries = (block, block + 1) if division.queries else None
        yield from _of_queries(node, operator, names, queries, steps)


def _of_queries(
    node: Node,
    operator: StreamingAttention,
    names: AttentionNames,
    queries: tuple[int, int] | None,
    steps: Sequence[tuple[int, int]],
) -> Iterator[Node]:
    """One block of queries, or all, in parts of giant steps."""
    own = slice(*queries) if queries else slice(None)
    block = queries[0] if queries else node.block
    inputs = [x for grids in (names.queries[own], names.keys, names.values) for grid in grids for x in grid]
    inputs += [x for factors in names.factors for x in factors[own]]
    outputs = [x for grid in names.sums[own] for x in grid] + list(names.denominators[own])
    turned = any(".turned" in x for x in names.keys[0])
    changes = {"queries": queries, "turned": turned}
    if len(steps) == 1:
        whole = msgspec.structs.replace(operator, **changes)
        yield as_part(node, block, whole, inputs, outputs, block=block)
        return
    role = f".{block}" if queries else ""
    for number, giants in enumerate(steps):
        part = msgspec.structs.replace(operator, giants=giants, **changes)
        made = [f"{value}~{number}" for value in outputs]
        yield as_part(node, number, part, inputs, made, role=role, block=block)
    columns = dict(enumerate(even_ranges(operator.scores.columns, len(steps))))
    yield from sum_parts(names, own, len(steps), columns, role, block)
