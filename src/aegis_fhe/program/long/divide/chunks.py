"""Attention with its babies in chunks (`score_chunks`): the next chunk's babies come before a chunk's scores.

So babies that another device makes are on their way while the scores of the chunk before are computed, and
no more than two chunks are held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import msgspec

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.diagonals import Babies
from aegis_fhe.program.long.divide.attention_names import AttentionNames, sum_parts
from aegis_fhe.program.long.divide.division import Division, as_part, even_ranges
from aegis_fhe.program.long.score_chunks import GiantSums, ScoreChunk


def chunked(names: AttentionNames, division: Division, steps: Sequence[tuple[int, int]]) -> Iterator[Node]:
    """All nodes of one attention, by blocks of queries if so divided, and by giant steps."""
    blocks = range(names.operator.scores.layout.blocks)
    ranges = even_ranges(len(blocks) * names.operator.scores.baby, division.chunks)
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
            yield from part.scores(index, chunk)
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

    def scores(self, index: int, chunk: tuple[int, int]) -> Iterator[Node]:
        """One chunk of pairs, a node for each block of queries and giant step: sums replace those before."""
        pairs = [divmod(pair, self.names.operator.scores.baby) for pair in range(*chunk)]
        babies = [
            self.names.baby(x, j)
            for grids in (self.names.keys, self.names.values)
            for block, j in pairs
            for x in grids[block]
        ]
        for block, i in product(range(*self.blocks), range(*self.giants)):
            queries = [self._turned(x, i) for x in self.names.queries[block]]
            before = self._partial(index - 1, block, i) if index else []
            operator = ScoreChunk(self._attention((block, block + 1), (i, i + 1)), *chunk)
            inputs, role = [*queries, *babies, *before], f".chunk{index}.{block}.{i}"
            yield self._node(operator, inputs, self._partial(index, block, i), role)

    def sums(self, last: int) -> Node:
        """O and D of this part's giant steps."""
        made = [f"{x}~{self.number}" for x in self.outputs] if self.count > 1 else self.outputs
        places = product(range(*self.blocks), range(*self.giants))
        terms = [x for block, i in places for x in self._partial(last, block, i)]
        operator = GiantSums(self._attention(self.blocks, self.giants))
        return self._node(operator, terms, made, f"{self.role}.giants")

    def _attention(self, queries: tuple[int, int], giants: tuple[int, int]) -> StreamingAttention:
        return msgspec.structs.replace(self.names.operator, queries=queries, giants=giants)

    def _queries(self, block: int) -> list[str]:
        return [self._turned(x, i) for x in self.names.queries[block] for i in range(*self.giants)]

    def _turned(self, value: str, i: int) -> str:
        return f"{value}.{self.names.node.name}.turned-{i}"

    def _partial(self, index: int, block: int, i: int) -> list[str]:
        """Names of the sums behind a chunk: O and D of one block of queries and giant step."""
        own = [*self.names.sums[block], self.names.denominators[block]]
        return [f"{x}.chunk{index}.{i}" for x in own]

    def _node(
        self, operator: Babies | ScoreChunk | GiantSums, x: Sequence[str], y: Sequence[str], role: str
    ) -> Node:
        return as_part(self.names.node, self.number, operator, x, y, role=role, block=self.block)
