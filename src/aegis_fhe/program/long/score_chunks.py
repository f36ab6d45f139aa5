"""Attention with its babies in chunks: held are some babies, and one sum for each giant step.

With Q turned in advance, queries of giant step i are q_c(i) = rot(q_c, -S b i), and sums over babies come
apart into chunks of pairs of a block of keys and j, number b (key block) + j,

    O_c(i) += sum_j P[b i + j] rot(v_c, S j),   D(i) += sum_j P[b i + j],

O with three components, relinearised once behind the last chunk; then O_c = sum_i rot(O_c(i), S b i), and D.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import product
from typing import TypeAlias, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import multiply_plain
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")
_Grids: TypeAlias = list[list[Sequence[V]]]


class ScoreChunk(msgspec.Struct, frozen=True, tag=True):
    """The sums of `attention` over pairs first <= b (key block) + j < last, added to what came before.

    Inputs: Q turned, [query block][column][giant step]; babies of K, then of V, [pair][column]; behind the
    first chunk the sums so far. Outputs: the sums, [query block][giant step], C of three
    components and D each. attention: its part (query blocks and giant steps), without rounds.

    Levels: D where `StreamingAttention` has probabilities, O there too, at the scale of a product.
    """

    attention: StreamingAttention
    first: int
    last: int

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """C products, exp and C products for each score; no rotation. Raises as `StreamingAttention`."""
        self.attention.check(context)
        scores, steps = self.attention.scores, self.attention.giant_steps
        blocks, columns, pairs = self.attention.query_blocks, scores.columns, self.last - self.first
        queries, rest = _grids(inputs, len(blocks), columns, len(steps))
        babies = [rest[start : start + columns] for start in range(0, 2 * pairs * columns, columns)]
        keys, values, rest = babies[:pairs], babies[pairs:], rest[2 * pairs * columns :]
        before, results = iter(rest), list[V]()
        for place, block in enumerate(blocks):
            for step, i in enumerate(steps):
                held = [next(before) for _ in range(columns + 1)] if rest else []
                results += self._sums(backend, context, (block, i), queries[place][step], keys, values, held)
        return results

    def alike(self, context: Context) -> Hashable:
        """What decides its operations and levels: see `KnownNodes`."""
        places = product(self.attention.query_blocks, self.attention.giant_steps)
        seen = tuple(tuple(pair for pair, _ in self._seen(*place, context)) for place in places)
        whole = msgspec.structs.replace(self.attention, queries=None, giants=None)
        return ScoreChunk, whole, self.last - self.first, seen

    def _sums(
        self,
        backend: Backend[V],
        context: Context,
        place: tuple[int, int],
        query: Sequence[V],
        keys: Sequence[Sequence[V]],
        values: Sequence[Sequence[V]],
        held: list[V],
    ) -> list[V]:
        """Of one query block and giant step; as they were where this chunk has nothing for it."""
        offsets = self.attention.offsets(place[1], place[0], context)
        probabilities, met = list[V](), list[Sequence[V]]()
        for pair, seen in self._seen(*place, context):
            score = backend.multiply_sum(query, keys[pair])
            p = self.attention.exponentiated(backend, score, offsets, context)
            if self.attention.masks:
                p = multiply_plain(backend, p, self.attention.scores.mask(seen), context.scale)
            probabilities.append(p)
            met.append(values[pair])
        if not probabilities:
            return held
        onto: Sequence[V | None] = held[:-1] or [None] * self.attention.scores.columns
        products = [
            backend.multiply_sum(probabilities, [value[c] for value in met], x) for c, x in enumerate(onto)
        ]
        return [*products, backend.sum([*held[-1:], *probabilities])]

    def _seen(self, block: int, i: int, context: Context) -> list[tuple[int, NDArray[np.bool_]]]:
        """(place among the pairs, keys seen) where some query sees one; the first chunk has at least one."""
        scores = self.attention.scores
        found, unseen = list[tuple[int, NDArray[np.bool_]]](), list[tuple[int, NDArray[np.bool_]]]()
        for pair in range(self.first, self.last):
            key_block, j = divmod(pair, scores.baby)
            if key_block in scores.key_blocks_seen(block) and j in scores.babies(i):
                seen = scores.keys_seen(block, key_block, i, j, context.tokens, public=context.public_tokens)
                (found if seen.any() else unseen).append((pair - self.first, seen))
        return found or ([] if self.first else unseen[:1])


class GiantSums(msgspec.Struct, frozen=True, tag=True):
    """O = sum_i rot(O(i), S b i) and D likewise, over the giant steps of `attention`.

    Inputs: as the outputs of `ScoreChunk`. Outputs: O [query block][column], then D [query block]. O one
    level lower, D at its level.
    """

    attention: StreamingAttention

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """C relinearisations for each giant step, C + 1 rotations for each but 0, one ModDown a sum."""
        scores, steps = self.attention.scores, self.attention.giant_steps
        turns = [scores.layout.sub_slots * scores.baby * i for i in steps]
        columns, blocks = scores.columns, len(self.attention.query_blocks)
        grids, _ = _grids(inputs, blocks, len(steps), columns + 1)
        results, denominators = list[V](), list[V]()
        for grid in grids:
            for column in grid[:columns]:
                results.append(backend.rotate_sum([backend.relinearize_rescale(x) for x in column], turns))
            denominators.append(backend.rotate_sum(grid[columns], turns))
        return [*results, *denominators]


def _grids(inputs: Sequence[V], count: int, rows: int, columns: int) -> tuple[_Grids[V], Sequence[V]]:
    """The next `count` grids of rows x columns as [grid][column][row], and what is behind them."""
    size = rows * columns
    grids = [inputs[start : start + size] for start in range(0, count * size, size)]
    return [[grid[column::columns] for column in range(columns)] for grid in grids], inputs[count * size :]
