"""One group's part of an attention in chunks: the nodes that it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import msgspec

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.diagonals import Babies
from aegis_fhe.program.long.divide.attention_names import AttentionNames
from aegis_fhe.program.long.divide.division import as_part
from aegis_fhe.program.long.score_chunks import ScoreChunk
from aegis_fhe.program.long.weighted_sums import GiantSums, WeightedSums

STEPS = 4  # giant steps whose scores are made of the same keys at once


@dataclass(frozen=True)
class AttentionPart:
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

    def turned(self) -> Iterator[Node]:
        """Q at every giant step."""
        scores, (first, last) = self.names.operator.scores, self.giants
        turn = Babies(-scores.layout.sub_slots * scores.baby, last - first, first)
        for block in range(*self.blocks):
            queries = self.names.queries[block]
            outputs = [self._turned(x, i) for x in queries for i in range(*self.giants)]
            yield self._node(turn, queries, outputs, f".queries{block}")

    def scores(self, pairs: range) -> Iterator[Node]:
        """P of one chunk of pairs, a node for each block of queries and a few giant steps."""
        operator, all_columns = self.names.operator, range(self.names.operator.scores.columns)
        for block, (first, last) in product(range(*self.blocks), self._few_steps()):
            chunk = ScoreChunk(operator, block, first, last, pairs.start, pairs.stop)
            own = chunk.all_pairs()
            if own:
                queries = [self._turned(x, i) for i in chunk.steps for x in self.names.queries[block]]
                babies = [x for pair in own for x in self._babies(self.names.keys, pair, all_columns)]
                outputs = [self._score(block, i, pair) for i in chunk.steps for pair in chunk.pairs(i)]
                yield self._node(chunk, [*queries, *babies], outputs, f".scores{pairs.start}.{block}.{first}")

    def weighted(self, columns: tuple[int, ...], window: range, number: int) -> Node:
        """Sums of some columns over window `number` of pairs; they replace those before."""
        operator = WeightedSums(self._attention(), window.start, window.stop, columns)
        scores = [self._score(*place, pair) for place in self._places() for pair in operator.pairs(*place)]
        babies = [x for pair in operator.all_pairs() for x in self._babies(self.names.values, pair, columns)]
        before = self._sums(columns, number - 1) if number else []
        role = f"{self.role}.sums{columns[0]}.{number}"
        return self._node(operator, [*scores, *babies, *before], self._sums(columns, number), role)

    def sums(self, columns: tuple[int, ...], last: int) -> Node:
        """O of this part's giant steps, and D with the first column."""
        grids = self.names.sums[slice(*self.blocks)]
        made = [grid[c] for grid in grids for c in columns]
        made += self.names.denominators[slice(*self.blocks)] if 0 in columns else []
        made = [f"{x}~{self.number}" for x in made] if self.count > 1 else made
        operator = GiantSums(self._attention(), columns)
        return self._node(operator, self._sums(columns, last), made, f"{self.role}.giants{columns[0]}")

    def _few_steps(self) -> list[tuple[int, int]]:
        """Its giant steps, as many at a time as read the keys together."""
        first, last = self.giants
        return [(i, min(i + STEPS, last)) for i in range(first, last, STEPS)]

    def _places(self) -> Iterator[tuple[int, int]]:
        return product(range(*self.blocks), range(*self.giants))

    def _attention(self) -> StreamingAttention:
        return msgspec.structs.replace(self.names.operator, queries=self.blocks, giants=self.giants)

    def _babies(self, grids: Sequence[Sequence[str]], pair: int, columns: Iterable[int]) -> list[str]:
        block, j = divmod(pair, self.names.operator.scores.baby)
        return [self.names.baby(grids[block][c], j) for c in columns]

    def _turned(self, value: str, i: int) -> str:
        return f"{value}.{self.names.node.name}.turned-{i}"

    def _score(self, block: int, i: int, pair: int) -> str:
        return f"{self.names.node.name}.score{block}.{i}.{pair}"

    def _sums(self, columns: tuple[int, ...], number: int) -> list[str]:
        """Names of the sums behind a window: O and D of each block of queries and giant step."""
        made = list[str]()
        for block, i in self._places():
            own = [self.names.sums[block][c] for c in columns]
            own += [self.names.denominators[block]] if 0 in columns else []
            made += [f"{x}.window{number}.{i}" for x in own]
        return made

    def _node(
        self,
        operator: Babies | ScoreChunk | WeightedSums | GiantSums,
        x: Sequence[str],
        y: Sequence[str],
        role: str,
    ) -> Node:
        return as_part(self.names.node, self.number, operator, x, y, role=role, block=self.block)
