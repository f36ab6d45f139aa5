"""Attention with its babies in chunks (`score_chunks`): the next chunk's babies come before a chunk's scores.

So babies that another device makes are on their way while the scores of the chunk before are computed, and
no more than two chunks are held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.diagonals import Babies
from aegis_fhe.program.long.divide.attention_names import AttentionNames, sum_parts
from aegis_fhe.program.long.divide.division import Division, as_part, even_ranges
from aegis_fhe.program.long.score_chunks import GiantSums, ScoreChunk


def chunked(names: AttentionNames, division: Division, steps: Sequence[tuple[int, int]]) -> Iterator[Node]:
    """All nodes of one attention, by blocks of queries if so divided, and by giant steps."""
    baby, blocks = names.operator.scores.baby, range(names.operator.scores.layout.blocks)
    ranges = even_ranges(baby, division.chunks)
    queries = [(p, p + 1) for p in blocks] if division.queries else [(blocks.start, blocks.stop)]
    parts = [
        _Part(names, block, giants, number, len(steps))
        for block in queries
        for number, giants in enumerate(steps)
    ]
    yield from names.babies(division.parts, *ranges[0])
    for part in parts:
        yield from part.turned()
    for index, chunk in enumerate(ranges):
        if index + 1 < len(ranges):
            yield from names.babies(division.parts, *ranges[index + 1])
        for part in parts:
            yield part.scores(index, chunk)
    for part in parts:
        yield part.sums(len(ranges) - 1)
    if len(steps) > 1:
        for block in queries:
            own = next(part for part in parts if part.blocks == block)
            yield from sum_parts(names, slice(*block), len(steps), own.role, own.block)


@dataclass(frozen=True)
class _Part:
    """Some blocks of queries and some giant steps, number `number` of `count`."""

    names: AttentionNames
    blocks: tuple[int, int]
    giants: tuple[int, int]
    number: int
    count: int

    @property
    def attention(self) -> StreamingAttention:
        """This part of it."""
        return msgspec.structs.replace(self.names.operator, queries=self.blocks, giants=self.giants)

    @property
    def block(self) -> int:
        """To which token block its nodes belong."""
        return self.blocks[0]

    @property
    def role(self) -> str:
        """In the names of nodes: which block, where there are several."""
        return f".{self.block}" if self.blocks != (0, len(self.names.queries)) else ""

    @property
    def outputs(self) -> list[str]:
        """O and D of all giant steps."""
        own = slice(*self.blocks)
        grids = self.names.sums[own]
        return [x for grid in grids for x in grid] + list(self.names.denominators[own])

    def turned(self) -> Iterator[Node]:
        """Q at every giant step."""
        scores, (first, last) = self.names.operator.scores, self.giants
        turn = Babies(-scores.layout.sub_slots * scores.baby, last - first, first)
        for block in range(*self.blocks):
            queries = self.names.queries[block]
            yield self._node(turn, queries, self._queries(block), f".queries{block}")

    def scores(self, index: int, chunk: tuple[int, int]) -> Node:
        """One chunk of babies."""
        queries = [x for block in range(*self.blocks) for x in self._queries(block)]
        babies = [
            f"{x}.{self.names.node.name}.turned{j}"
            for grids in (self.names.keys, self.names.values)
            for grid in grids
            for x in grid
            for j in range(*chunk)
        ]
        before = self._partial(index - 1) if index else []
        operator = ScoreChunk(self.attention, *chunk)
        return self._node(
            operator, [*queries, *babies, *before], self._partial(index), f"{self.role}.chunk{index}"
        )

    def sums(self, last: int) -> Node:
        """O and D of this part's giant steps."""
        made = [f"{x}~{self.number}" for x in self.outputs] if self.count > 1 else self.outputs
        return self._node(GiantSums(self.attention), self._partial(last), made, f"{self.role}.giants")

    def _queries(self, block: int) -> list[str]:
        columns = self.names.queries[block]
        return [f"{x}.{self.names.node.name}.turned-{i}" for x in columns for i in range(*self.giants)]

    def _partial(self, index: int) -> list[str]:
        """Names of the sums behind a chunk: [query block][giant step][O and D]."""
        found = []
        for block in range(*self.blocks):
            own = [*self.names.sums[block], self.names.denominators[block]]
            found += [f"{x}.chunk{index}.{i}" for i in range(*self.giants) for x in own]
        return found

    def _node(
        self, operator: Babies | ScoreChunk | GiantSums, x: Sequence[str], y: Sequence[str], role: str
    ) -> Node:
        return as_part(self.names.node, self.number, operator, x, y, role=role, block=self.block)
