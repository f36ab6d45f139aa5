"""What the parts of an attention node are made from: its values by role, babies, sums of parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.diagonals import Babies
from aegis_fhe.program.long.divide.division import as_part, even_ranges
from aegis_fhe.program.long.slotwise import Each
from aegis_fhe.program.operators import Add


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
        nodes = list(self.babies(parts, 0, len(self.keys) * self.operator.scores.baby))
        for grids, role in ((self.keys, "keys"), (self.values, "values")):
            for block in range(len(grids)):
                own = (node for node in nodes if f".{role}{block}." in node.name)
                grids[block] = [name for node in own for name in node.outputs]
        yield from nodes

    def babies(self, parts: int, first: int, last: int) -> Iterator[Node]:
        """rot(x, S j) of K and V for the pairs first <= b (token block) + j < last, some columns a node."""
        scores = self.operator.scores
        for role, grids in (("keys", self.keys), ("values", self.values)):
            for block, grid in enumerate(grids):
                start, end = (min(max(p - block * scores.baby, 0), scores.baby) for p in (first, last))
                if start == end:
                    continue
                babies = Babies(scores.layout.sub_slots, end - start, start)
                for number, columns in enumerate(even_ranges(len(grid), parts)):
                    own = grid[slice(*columns)]
                    names = [self.baby(x, j) for x in own for j in range(start, end)]
                    place = f".{role}{block}.{start}"
                    yield as_part(self.node, number, babies, own, names, role=place, block=block)

    def baby(self, value: str, j: int) -> str:
        """The name of rot(x, S j)."""
        return f"{value}.{self.node.name}.turned{j}"


def sum_parts(names: AttentionNames, blocks: slice, parts: int, role: str, block: int) -> Iterator[Node]:
    """Adds up each output's parts, by their numbers; some columns a node, D with the first."""
    node, grids = names.node, names.sums[blocks]
    for number, (first, last) in enumerate(even_ranges(len(grids[0]), parts)):
        own = [value for grid in grids for value in grid[first:last]]
        own += [] if number else names.denominators[blocks]
        terms = [f"{value}~{part}" for part in range(parts) for value in own]
        adds = Each(Add(), len(own))
        yield as_part(node, number, adds, terms, own, role=f"{role}sum", block=block)
