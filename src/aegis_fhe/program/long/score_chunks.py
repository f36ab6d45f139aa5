"""Attention with its babies in chunks: scores first, of some keys at a time, and kept; then sums of values.

With Q turned in advance, queries of giant step i are q_c(i) = rot(q_c, -S b i). Scores come apart into chunks
of pairs of a block of keys and j, number b (key block) + j,

    P[b i + j] = exp( sum_c q_c(i) rot(k_c, S j) ):

a pair's keys are 2 C polynomials at the level of Q, its scores two for each block of queries and giant step,
lower than that. So keys come and go in chunks, and little is left of them: what `weighted_sums` reads.
"""

from __future__ import annotations

import math
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import multiply_plain
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.even_ranges import even_ranges
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")

AT_ONCE = 4  # pairs of each giant step


class ScoreChunk(msgspec.Struct, frozen=True, tag=True):
    """P of a block of queries at the giant steps first_step <= i < last_step of `attention`, for pairs
    first <= b (key block) + j < last.

    Inputs: Q turned, [giant step][column]; babies of K, [pair][column], of the pairs that one of these steps
    has. Outputs: P, [giant step][pair of the step]. Pairs are those of `ScoreDiagonals.pairs`; where a text
    has no key for one, any ciphertext of the level stands there.

    A score's C products are an entry of a matrix product, of giant steps by pairs, so that queries and keys
    are read once for several scores; `AT_ONCE` pairs at a time, for products are three components each.

    Levels: as probabilities of `StreamingAttention`, without rounds.
    """

    attention: StreamingAttention
    block: int
    first_step: int
    last_step: int
    first: int
    last: int

    @property
    def steps(self) -> range:
        """Its giant steps."""
        return range(self.first_step, self.last_step)

    def pairs(self, i: int) -> list[int]:
        """Of a giant step."""
        return self.attention.scores.pairs(self.block, i, self.first, self.last)

    def all_pairs(self) -> list[int]:
        """Those that one of the giant steps has."""
        return sorted({pair for i in self.steps for pair in self.pairs(i)})

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """C products, one relinearisation and exp for each pair. Raises as `StreamingAttention`."""
        self.attention.check(context)
        columns = self.attention.scores.columns
        grid = [inputs[i : i + columns] for i in range(0, len(inputs), columns)]
        queries = dict(zip(self.steps, grid, strict=False))
        keys = dict(zip(self.all_pairs(), grid[len(self.steps) :], strict=True))
        level = min(map(backend.level, inputs))
        seen = {i: dict(self._seen(i, context)) for i in self.steps}
        offsets = {i: self.attention.offsets(i, self.block, context) for i in self.steps if seen[i]}
        found = dict[tuple[int, int], V]()
        for steps, pairs in self._matrices(seen):
            columns_of_keys = list(zip(*(keys[pair] for pair in pairs), strict=True))
            products = backend.multiply_matrix([queries[i] for i in steps], columns_of_keys)
            for i, row in zip(steps, products, strict=True):
                for pair in pairs:
                    p = self.attention.exponentiated(backend, row.pop(0), offsets[i], context)
                    if self.attention.masks:
                        p = multiply_plain(
                            backend, p, self.attention.scores.mask(seen[i][pair]), context.scale
                        )
                    found[i, pair] = p
        depth = self.attention.exponential_depth + self.attention.masks
        results = list[V]()
        for i in self.steps:
            own = {pair: found[i, pair] for pair in seen[i]}
            unseen = next(iter(own.values())) if own else backend.drop_to(queries[i][0], level - depth)
            results += [own.get(pair, unseen) for pair in self.pairs(i)]
        return results

    def alike(self, context: Context) -> Hashable:
        """What decides its operations and levels: see `KnownNodes`."""
        lie = tuple(tuple(pair - self.first for pair in self.pairs(i)) for i in self.steps)
        seen = tuple(tuple(pair - self.first for pair, _ in self._seen(i, context)) for i in self.steps)
        return ScoreChunk, self.attention, lie, seen

    def _seen(self, i: int, context: Context) -> list[tuple[int, NDArray[np.bool_]]]:
        """Pairs of a giant step and the keys seen there."""
        pairs = self.pairs(i)
        return [(pairs[at], seen) for at, seen in seen_pairs(self.attention, self.block, i, pairs, context)]

    def _matrices(self, seen: Mapping[int, Container[int]]) -> Iterator[tuple[list[int], list[int]]]:
        """(giant steps, pairs that all of them see): all that are seen, a few pairs at a time."""
        pairs = self.all_pairs()
        for start, end in even_ranges(len(pairs), math.ceil(len(pairs) / AT_ONCE)):
            by_pairs = dict[tuple[int, ...], list[int]]()
            for i in self.steps:
                met = tuple(pair for pair in pairs[start:end] if pair in seen[i])
                by_pairs.setdefault(met, []).append(i)
            yield from ((steps, list(met)) for met, steps in by_pairs.items() if met)


def seen_pairs(
    attention: StreamingAttention, block: int, step: int, pairs: Sequence[int], context: Context
) -> list[tuple[int, NDArray[np.bool_]]]:
    """(place among the pairs, keys seen) where some query sees one; of all pairs' beginning one at least."""
    scores = attention.scores
    found, unseen = list[tuple[int, NDArray[np.bool_]]](), list[tuple[int, NDArray[np.bool_]]]()
    for place, pair in enumerate(pairs):
        key_block, j = divmod(pair, scores.baby)
        seen = scores.keys_seen(block, key_block, step, j, context.tokens, public=context.public_tokens)
        (found if seen.any() else unseen).append((place, seen))
    return found or [one for one in unseen[:1] if pairs[0] == 0]
