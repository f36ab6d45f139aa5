"""What the parts of an attention node are made from: its values by role, babies, sums of parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.diagonals import Babies
from aegis_fhe.program.long.divide.division import as_part
from aegis_fhe.program.long.even_ranges import even_ranges
from aegis_fhe.program.long.slotwise import Each
from aegis_fhe.program.operators import Add

Role = Literal["keys", "values"]


@dataclass
class AttentionNames:
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
    def of(cls, node: Node, operator: StreamingAttention) -> AttentionNames:
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
        columns = dict(enumerate(even_ranges(self.operator.scores.columns, parts)))
        roles: tuple[tuple[Role, list[Sequence[str]]], ...] = (("keys", self.keys), ("values", self.values))
        for role, grids in roles:
            turned: list[list[str]] = [[] for _ in grids]
            for node in self.babies(role, columns, range(len(grids) * self.operator.scores.baby)):
                turned[node.block] += node.outputs
                yield node
            grids[:] = turned

    def babies(self, role: Role, columns: Mapping[int, tuple[int, int]], pairs: range) -> Iterator[Node]:
        """rot(x, S j) of K or V for pairs b (token block) + j, of numbered ranges of columns, each a node."""
        scores = self.operator.scores
        grids = self.keys if role == "keys" else self.values
        for (number, (first, last)), (block, grid) in product(columns.items(), enumerate(grids)):
            own = range(block * scores.baby, (block + 1) * scores.baby)
            start, end = max(pairs.start, own.start) - own.start, min(pairs.stop, own.stop) - own.start
            if start < end:
                babies = Babies(scores.layout.sub_slots, end - start, start)
                names = [self.baby(x, j) for x in grid[first:last] for j in range(start, end)]
                place = f".{role}{block}.{start}"
                yield as_part(self.node, number, babies, grid[first:last], names, role=place, block=block)

    def baby(self, value: str, j: int) -> str:
        """The name of rot(x, S j)."""
        return f"{value}.{self.node.name}.turned{j}"


def sum_parts(
    names: AttentionNames,
    blocks: slice,
    parts: int,
    columns: Mapping[int, tuple[int, int]],
    role: str,
    block: int,
) -> Iterator[Node]:
    """Adds up each output's parts, by their numbers; a node for each range of columns, D with the first."""
    node, grids = names.node, names.sums[blocks]
    for number, (first, last) in columns.items():
        own = [value for grid in grids for value in grid[first:last]]
        own += [] if first else names.denominators[blocks]
        terms = [f"{value}~{part}" for part in range(parts) for value in own]
        adds = Each(Add(), len(own))
        yield as_part(node, number, adds, terms, own, role=f"{role}sum", block=block)
