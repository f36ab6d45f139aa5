"""Attention with its babies in chunks: scores of some keys at a time, then sums of some columns of values.

The next step's babies come before a step's products: so babies that another device makes are on their way
while those before are used, and no more than two steps' are held.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import msgspec

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.diagonals import Babies, ScoreDiagonals
from aegis_fhe.program.long.divide.attention_names import AttentionNames, sum_parts
from aegis_fhe.program.long.divide.division import Division, as_part, even_ranges, in_turns
from aegis_fhe.program.long.score_chunks import ScoreChunk
from aegis_fhe.program.long.weighted_sums import GiantSums, WeightedSums

# Of as many windows as there must be, each has so many pairs for a column: its scores take an eighth of the
# sums that are kept between windows.
WINDOW = 1 / 8


def chunked(names: AttentionNames, division: Division, steps: Sequence[tuple[int, int]]) -> Iterator[Node]:
    """All nodes of one attention, by blocks of queries if so divided, and by giant steps."""
    blocks = range(names.operator.scores.layout.blocks)
    queries = [(p, p + 1) for p in blocks] if division.queries else [(blocks.start, blocks.stop)]
    parts = [
        _Part(names, block, giants, number, len(steps))
        for block in queries
        for number, giants in enumerate(steps)
    ]
    work = [*_steps(names, division, parts), _Step()]
    yield from work[0].babies
    for part in parts:
        yield from part.turned()
    for step, following in pairwise(work):
        yield from following.babies
        yield from step.nodes


@dataclass(frozen=True)
class _Step:
    """babies: those that its nodes are the first to read."""

    babies: Sequence[Node] = ()
    nodes: Sequence[Node] = ()


def _steps(names: AttentionNames, division: Division, parts: Sequence[_Part]) -> Iterator[_Step]:
    """Window by window: keys in chunks, then values column by column, or a few at a time."""
    scores, groups = names.operator.scores, division.giants
    windows = score_windows(scores)
    chunks = max(1, division.chunks // len(windows))
    shares = _ranges(scores.columns, division.parts, groups)
    columns = _ranges(scores.columns, groups * chunks, groups)
    for number, window in enumerate(windows):
        for start, end in even_ranges(len(window), chunks):
            nodes = [node for part in parts for node in part.scores(window[start:end])]
            yield _Step([*names.babies("keys", shares, window[start:end])], nodes)
        last, made = number + 1 == len(windows), list[Node]()
        for first in range(0, len(columns), groups):
            at_once = list(columns.items())[first : first + groups]
            own = tuple(c for _, x in at_once for c in range(*x))
            nodes = [part.weighted(own, windows, number) for part in parts]
            nodes += [part.sums(own, number) for part in parts] if last else []
            # Sums over groups one step late: their terms move under the products of the next columns.
            yield _Step([*names.babies("values", dict(at_once), window)], [*nodes, *made])
            made = [*_over_parts(names, parts, dict(enumerate(x for _, x in at_once)))] if last else []
        yield _Step(nodes=made)


def _over_parts(
    names: AttentionNames, parts: Sequence[_Part], columns: Mapping[int, tuple[int, int]]
) -> Iterator[Node]:
    """Sums over the parts of each block of queries, the groups' columns in a node of each."""
    for part in parts:
        if part.count > 1 and not part.number:
            role = f"{part.role}.{columns[0][0]}."
            yield from sum_parts(names, slice(*part.blocks), part.count, columns, role, part.block)


def _ranges(columns: int, count: int, groups: int) -> dict[int, tuple[int, int]]:
    """Numbered ranges of columns; those of different groups in turns."""
    ranges = even_ranges(columns, count)
    return {number: ranges[number] for number in in_turns(len(ranges), groups)}


def score_windows(scores: ScoreDiagonals) -> list[range]:
    """Of pairs, whose scores are kept together: all where these take no more than sums, else few of them."""
    pairs = scores.layout.blocks * scores.baby
    most = pairs if pairs <= scores.columns else max(1, int(scores.columns * WINDOW))
    return [range(*own) for own in even_ranges(pairs, math.ceil(pairs / most))]


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

    def turned(self) -> Iterator[Node]:
        """Q at every giant step."""
        scores, (first, last) = self.names.operator.scores, self.giants
        turn = Babies(-scores.layout.sub_slots * scores.baby, last - first, first)
        for block in range(*self.blocks):
            queries = self.names.queries[block]
            outputs = [self._turned(x, i) for x in queries for i in range(*self.giants)]
            yield self._node(turn, queries, outputs, f".queries{block}")

    def scores(self, pairs: range) -> Iterator[Node]:
        """P of one chunk of pairs, a node for each block of queries and giant step."""
        operator, all_columns = self.names.operator, range(self.names.operator.scores.columns)
        for block, i in self._places():
            own = operator.scores.pairs(block, i, pairs.start, pairs.stop)
            if own:
                queries = [self._turned(x, i) for x in self.names.queries[block]]
                babies = [x for pair in own for x in self._babies(self.names.keys, pair, all_columns)]
                chunk = ScoreChunk(operator, block, i, pairs.start, pairs.stop)
                outputs = [self._score(block, i, pair) for pair in own]
                yield self._node(chunk, [*queries, *babies], outputs, f".scores{pairs.start}.{block}.{i}")

    def weighted(self, columns: tuple[int, ...], windows: Sequence[range], number: int) -> Node:
        """Sums of some columns over one window of pairs; they replace those before."""
        window = windows[number]
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
