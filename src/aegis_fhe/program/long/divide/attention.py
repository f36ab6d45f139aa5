"""Attention in parts: by token blocks of queries, by giant steps, with keys and values turned apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.diagonals import Babies
from aegis_fhe.program.long.divide.division import Division, as_part, even_ranges
from aegis_fhe.program.long.slotwise import Each
from aegis_fhe.program.operators import Add


def divide_attention(node: Node, operator: StreamingAttention, division: Division) -> Iterator[Node]:
    """Nodes that turn K and V, the parts, and their sums. Passes with resident scores stay whole."""
    blocks = len(operator.query_blocks) if division.queries else 1
    steps = even_ranges(len(operator.giant_steps), division.giants)
    if operator.resident or operator.keeps or (blocks == 1 and len(steps) == 1 and not division.babies):
        yield node
        return
    names = _Names.of(node, operator)
    if division.babies:
        yield from names.turn(division.parts)
    for block in range(blocks):
        queries = (block, block + 1) if division.queries else None
        yield from _of_queries(node, operator, names, queries, steps)


@dataclass
class _Names:
    """Inputs and outputs of an attention node: [token block][column], factors [round][token block]."""

    node: Node
    operator: StreamingAttention
    queries: list[Sequence[str]]
    keys: list[Sequence[str]]
    values: list[Sequence[str]]
    factors: list[Sequence[str]]
    sums: list[Sequence[str]]
    denominators: Sequence[str]

    @classmethod
    def of(cls, node: Node, operator: StreamingAttention) -> _Names:
        blocks, columns = operator.scores.layout.blocks, operator.scores.columns
        grids = [
            node.inputs[i : i + columns] for i in range(0, (2 + operator.weighs) * blocks * columns, columns)
        ]
        rest = node.inputs[len(grids) * columns :]
        sums = node.outputs[: len(node.outputs) - blocks]
        return cls(
            node=node,
            operator=operator,
            queries=list(grids[:blocks]),
            keys=list(grids[blocks : 2 * blocks]),
            values=list(grids[2 * blocks :]),
            factors=[rest[i : i + blocks] for i in range(0, len(rest), blocks)],
            sums=[sums[i : i + columns] for i in range(0, len(sums), columns)],
            denominators=node.outputs[len(sums) :],
        )

    def turn(self, parts: int) -> Iterator[Node]:
        """Babies of K and V, some columns a node; from then on K and V are these."""
        scores = self.operator.scores
        babies = Babies(scores.layout.sub_slots, scores.baby)
        for role, grids in (("keys", self.keys), ("values", self.values)):
            for block, grid in enumerate(grids):
                turned: list[str] = []
                for number, (first, last) in enumerate(even_ranges(len(grid), parts)):
                    own = grid[first:last]
                    names = [f"{x}.{self.node.name}.turned{j}" for x in own for j in range(babies.count)]
                    role_of_block = f".{role}{block}"
                    yield as_part(self.node, number, babies, own, names, role=role_of_block, block=block)
                    turned += names
                grids[block] = turned


def _of_queries(
    node: Node,
    operator: StreamingAttention,
    names: _Names,
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
    for number, (first, last) in enumerate(even_ranges(len(outputs), len(steps))):
        own_outputs = outputs[first:last]
        terms = [f"{value}~{step}" for step in range(len(steps)) for value in own_outputs]
        adds = Each(Add(), len(own_outputs))
        yield as_part(node, number, adds, terms, own_outputs, role=f"{role}sum", block=block)
