"""Attention with its babies in chunks: scores first, of some keys at a time, and kept; then sums of values.

With Q turned in advance, queries of giant step i are q_c(i) = rot(q_c, -S b i). Scores come apart into chunks
of pairs of a block of keys and j, number b (key block) + j,

    P[b i + j] = exp( sum_c q_c(i) rot(k_c, S j) ):

a pair's keys are 2 C polynomials at the level of Q, its scores two for each block of queries and giant step,
lower than that. So keys come and go in chunks, and little is left of them: what `weighted_sums` reads.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import multiply_plain
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class ScoreChunk(msgspec.Struct, frozen=True, tag=True):
    """P of one block of queries and giant step of `attention`, for pairs first <= b (key block) + j < last.

    Inputs: Q turned, [column]; babies of K, [pair][column]. Outputs: P [pair]. Pairs are those of
    `ScoreDiagonals.pairs`; where a text has no key for one, any ciphertext of the level stands there.

    Levels: as probabilities of `StreamingAttention`, without rounds.
    """

    attention: StreamingAttention
    block: int
    step: int
    first: int
    last: int

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """C products, one relinearisation and exp for each pair. Raises as `StreamingAttention`."""
        self.attention.check(context)
        columns = self.attention.scores.columns
        query, *keys = (inputs[i : i + columns] for i in range(0, len(inputs), columns))
        offsets = self.attention.offsets(self.step, self.block, context)
        found = dict[int, V]()
        for place, seen in self._seen(context):
            score = backend.multiply_sum(query, keys[place])
            p = self.attention.exponentiated(backend, score, offsets, context)
            if self.attention.masks:
                p = multiply_plain(backend, p, self.attention.scores.mask(seen), context.scale)
            found[place] = p
        if not found:
            depth = self.attention.exponential_depth + self.attention.masks
            found[0] = backend.drop_to(query[0], min(map(backend.level, inputs)) - depth)
        unseen = next(iter(found.values()))
        return [found.get(place, unseen) for place in range(len(keys))]

    def alike(self, context: Context) -> Hashable:
        """What decides its operations and levels: see `KnownNodes`."""
        seen = tuple(place for place, _ in self._seen(context))
        return ScoreChunk, self.attention, seen

    def _seen(self, context: Context) -> list[tuple[int, NDArray[np.bool_]]]:
        pairs = self.attention.scores.pairs(self.block, self.step, self.first, self.last)
        return seen_pairs(self.attention, self.block, self.step, pairs, context)


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
