"""Sums of values over scores that are kept (`score_chunks`), some columns at a time.

    O_c(i) = sum_j P[b i + j] rot(v_c, S j),   D(i) = sum_j P[b i + j]

over pairs of a block of keys and j, O with three components, relinearised once behind the last pair; then
O_c = sum_i rot(O_c(i), S b i), and D. A column needs no other one's values. Where the scores of all pairs are
more than one keeps, they come in windows, and sums of a window are added to those before.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.score_chunks import seen_pairs
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")
_Grids: TypeAlias = list[list[Sequence[V]]]


class WeightedSums(msgspec.Struct, frozen=True, tag=True):
    """The sums of `attention` over pairs first <= b (key block) + j < last, of some columns.

    Inputs: P, [query block][giant step][pair]; babies of V, [pair][column], of the pairs that some block of
    queries sees; behind the first window the sums so far. Outputs: the sums, [query block][giant step],
    of each column and then, with the first column, D. attention: its part (query blocks, giant steps) without
    rounds.

    Levels: O and D where P is, O of three components and at the scale of a product.
    """

    attention: StreamingAttention
    first: int
    last: int
    columns: tuple[int, ...]

    @property
    def denominators(self) -> bool:
        """Whether it makes D."""
        return 0 in self.columns

    def pairs(self, block: int, i: int) -> list[int]:
        """Of a block of queries and giant step: see `ScoreDiagonals.pairs`."""
        return self.attention.scores.pairs(block, i, self.first, self.last)

    def all_pairs(self) -> list[int]:
        """Those that some block of queries and giant step has."""
        return sorted({pair for place in self.attention.places for pair in self.pairs(*place)})

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """A product for each P and column, a matrix product of places by columns; no rotation.

        Raises as `StreamingAttention`.
        """
        self.attention.check(context)
        own, columns = self.attention.places, len(self.columns)
        rest = iter(inputs)
        weights = [{pair: next(rest) for pair in self.pairs(*place)} for place in own]
        values = {pair: [next(rest) for _ in range(columns)] for pair in self.all_pairs()}
        before = list(rest)
        size = len(before) // len(own)
        sums = dict[int, list[V]]()
        for numbers, pairs in self._matrices(context).items():
            rows = [[weights[n][pair] for pair in pairs] for n in numbers]
            held = [before[n * size : (n + 1) * size] for n in numbers]
            made = self._sums(backend, rows, [values[pair] for pair in pairs], held) if pairs else held
            sums.update(zip(numbers, made, strict=True))
        return [x for n in range(len(own)) for x in sums[n]]

    def alike(self, context: Context) -> Hashable:
        """What decides its operations and levels: see `KnownNodes`."""
        own = [(place, self.pairs(*place)) for place in self.attention.places]
        lie = tuple(tuple(pair - self.first for pair in pairs) for _, pairs in own)
        seen = tuple(
            tuple(at for at, _ in seen_pairs(self.attention, *place, pairs, context)) for place, pairs in own
        )
        whole = msgspec.structs.replace(self.attention, queries=None, giants=None)
        return WeightedSums, whole, lie, seen, len(self.columns), self.denominators

    def _matrices(self, context: Context) -> dict[tuple[int, ...], list[int]]:
        """By the pairs that they see, blocks of queries and giant steps, by number; those pairs."""
        by_pairs = dict[tuple[int, ...], list[int]]()
        for number, place in enumerate(self.attention.places):
            pairs = self.pairs(*place)
            seen = tuple(pairs[at] for at, _ in seen_pairs(self.attention, *place, pairs, context))
            by_pairs.setdefault(seen, []).append(number)
        return {tuple(numbers): list(seen) for seen, numbers in by_pairs.items()}

    def _sums(
        self,
        backend: Backend[V],
        weights: Sequence[Sequence[V]],
        values: Sequence[Sequence[V]],
        held: Sequence[Sequence[V]],
    ) -> list[list[V]]:
        """Of blocks of queries and giant steps that see the same pairs: P [place][pair], V [pair][column]."""
        columns = len(self.columns)
        onto = [x[:columns] for x in held] if all(held) else []
        results = backend.multiply_matrix(weights, values, onto)
        if self.denominators:
            for row, own, so_far in zip(results, weights, held, strict=True):
                row.append(backend.sum([*so_far[columns:], *own]))
        return results


class GiantSums(msgspec.Struct, frozen=True, tag=True):
    """O = sum_i rot(O(i), S b i) of some columns, and D likewise, over the giant steps of `attention`.

    Inputs: as the outputs of `WeightedSums`. Outputs: O [query block][column], then D [query block] where it
    is there. O one level lower, D at its level.
    """

    attention: StreamingAttention
    columns: tuple[int, ...]

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """C relinearisations for each giant step, C + 1 rotations for each but 0, one ModDown a sum."""
        scores, steps = self.attention.scores, self.attention.giant_steps
        turns = [scores.layout.sub_slots * scores.baby * i for i in steps]
        results, denominators = list[V](), list[V]()
        for grid in self._grids(inputs):
            for column in grid[: len(self.columns)]:
                results.append(backend.rotate_sum(backend.relinearize_rescale_each(column), turns))
            denominators += [backend.rotate_sum(column, turns) for column in grid[len(self.columns) :]]
        return [*results, *denominators]

    def _grids(self, inputs: Sequence[V]) -> _Grids[V]:
        """[query block][column][giant step]."""
        size = len(inputs) // len(self.attention.query_blocks)
        width = size // len(self.attention.giant_steps)
        grids = [inputs[start : start + size] for start in range(0, len(inputs), size)]
        return [[grid[column::width] for column in range(width)] for grid in grids]
