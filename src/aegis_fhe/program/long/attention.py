"""Attention over long texts: scores by diagonals of tokens, produced, used and dropped giant step by step.

With slot = t S + kb H + h and one ciphertext for each feature c inside a head,

    P[b i + j] = exp( sum_c rot(q_c, -S b i) rot(k_c, S j) ),  0 <= j < b,
    O_c        = sum_i rot( sum_j P[b i + j] rot(v_c, S j), S b i ),
    D          = sum_i rot( sum_j P[b i + j], S b i ):

P is not aligned with its query, so neither masks nor sums inside a ciphertext are needed, and D comes out
aligned with O: the division is deferred.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.polynomial import polynomial_depth
from aegis_fhe.circuits.products import multiply, multiply_plain
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import RangeError
from aegis_fhe.program.long.diagonals import ScoreDiagonals
from aegis_fhe.program.operators.arithmetic import Polynomial
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class StreamingAttention(msgspec.Struct, frozen=True, tag=True):
    """Unnormalised attention of one group of heads over all token blocks.

    Inputs, each [token block][column]: Q with a copy in every key block kb; K and V folded (see PlaceHeads).
    Outputs: O [token block][column], then D [token block], both over the keys of their own kb alone: the sum
    over kb folds into what follows. exponential: a series in u = score + offset, squared `squarings` times.
    offset, growth: names of one number for each head: offset = offset_h - growth_h log(visible(i)) where
    query i sees visible(i) keys, and -1 at tokens that are not encrypted, where exp vanishes.
    masked: keys that a query may not see, or beyond the text, are multiplied by zero; score ciphertexts
    without any other are left out. Levels: O `depth` below the lowest of Q and K, D one above O; V may lie as
    low as D.
    """

    scores: ScoreDiagonals
    exponential: Polynomial
    squarings: int
    offset: str
    masked: bool
    growth: str | None = None

    @property
    def probability_depth(self) -> int:
        """Levels from Q and K to P: the product, the series, the squarings, the mask."""
        series = polynomial_depth(len(self.exponential.coefficients) - 1)
        return 1 + series + self.squarings + self.masked

    @property
    def depth(self) -> int:
        """Levels from Q and K to O."""
        return self.probability_depth + 1

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """Giant steps from the last to the first: Q turns forward by one step, and so do the sums behind it.

        Rotations: C (b - 1) of K and of V for each token block, C (g - 1) of Q and of O, g - 1 of D, by b + 1
        different steps at most. Relinearisations: one a score, C for each giant step. Raises RangeError for a
        text with padding where scores are not masked.
        """
        capacity = self.scores.layout.tokens * self.scores.layout.blocks
        if not self.masked and context.tokens < capacity:
            raise RangeError(
                f"the text has {context.tokens} tokens, the program was compiled for exactly {capacity}: "
                "compile it for fewer tokens"
            )
        run = _Run(self, backend, context, inputs)
        for i in reversed(range(self.scores.giants)):
            run.turn(i)
            for block in range(self.scores.layout.blocks):
                run.accumulate(i, block)
        return run.results()


@dataclass(frozen=True)
class _Weighted(Generic[V]):
    """One ciphertext of probabilities, and whose values it meets."""

    probability: V
    values: Sequence[V]


class _Run(Generic[V]):
    """The state of one run: babies of K and V, Q of the current giant step, the sums of the steps so far."""

    def __init__(
        self, operator: StreamingAttention, backend: Backend[V], context: Context, inputs: list[V]
    ) -> None:
        self.operator, self.backend, self.context = operator, backend, context
        self.scores = operator.scores
        blocks, columns = self.scores.layout.blocks, self.scores.columns
        grids = [inputs[start : start + columns] for start in range(0, len(inputs), columns)]
        level = min(backend.level(x) for grid in grids[: 2 * blocks] for x in grid)
        lowest_value = min(backend.level(x) for grid in grids[2 * blocks :] for x in grid)
        self.aligned = [self._dropped(grid, level) for grid in grids[:blocks]]
        self.queries = self.aligned
        self.keys = [self._babies(grid, level) for grid in grids[blocks : 2 * blocks]]
        lower = min(lowest_value, level - operator.probability_depth)
        self.values = [self._babies(grid, lower) for grid in grids[2 * blocks :]]
        self.sums: list[list[V]] = [[] for _ in range(blocks)]

    def turn(self, i: int) -> None:
        """Queries and sums to giant step i."""
        backend, unit = self.backend, self.scores.layout.sub_slots * self.scores.baby
        last = i == self.scores.giants - 1
        if i:
            step = -unit * i if last else unit
            self.queries = [[backend.rotate(q, step) for q in grid] for grid in self.queries]
        else:
            self.queries = self.aligned
        if not last:
            self.sums = [[backend.rotate(x, unit) for x in grid] for grid in self.sums]

    def accumulate(self, i: int, block: int) -> None:
        """Adds the scores of one giant step to the sums of a block of queries."""
        found = list(self._probabilities(i, block))
        if not found:
            return
        probabilities, backend = [one.probability for one in found], self.backend
        partial = []
        for c in range(self.scores.columns):
            product = backend.multiply_sum(probabilities, [one.values[c] for one in found])
            partial.append(backend.relinearize_rescale(product))
        total = probabilities[0]
        for x in probabilities[1:]:
            total = backend.add(total, x)
        partial.append(total)
        before = self.sums[block]
        pairs = zip(before, partial, strict=True)
        self.sums[block] = [backend.add(x, y) for x, y in pairs] if before else partial

    def results(self) -> list[V]:
        """All O, then all D."""
        return [x for grid in self.sums for x in grid[:-1]] + [grid[-1] for grid in self.sums]

    def _probabilities(self, i: int, block: int) -> Iterator[_Weighted[V]]:
        scores, offsets = self.scores, self._offsets(i, block)
        for key_block in range(scores.layout.blocks):
            for j in scores.babies(i):
                seen = scores.keys_seen(
                    block, key_block, i, j, self.context.tokens, public=self.context.public_tokens
                )
                if seen.any():
                    keys, values = self.keys[key_block][j], self.values[key_block][j]
                    yield _Weighted(self._probability(self.queries[block], keys, offsets, seen), values)

    def _offsets(self, i: int, block: int) -> SlotVector:
        """What is added to a block's scores in giant step i."""
        operator, context = self.operator, self.context
        offset = np.asarray(context.constants[operator.offset])
        if operator.growth is None:
            return self.scores.by_head(offset)
        query = self.scores.queries(block, i)
        last = query + 1 if self.scores.causal else context.tokens
        visible = np.minimum(last, np.full_like(query, context.tokens))
        grown = offset - np.log(visible)[:, None] * context.constants[operator.growth]
        encrypted = (query >= context.public_tokens) & (query < context.tokens)
        return self.scores.by_head(np.where(encrypted[:, None], grown, -1.0))

    def _probability(
        self, queries: Sequence[V], keys: Sequence[V], offsets: SlotVector, seen: NDArray[np.bool_]
    ) -> V:
        operator, backend = self.operator, self.backend
        score = backend.relinearize_rescale(backend.multiply_sum(queries, keys))
        (p,) = operator.exponential.lower(backend, [backend.add_plain(score, offsets)], self.context)
        for _ in range(operator.squarings):
            p = multiply(backend, p, p)
        if not operator.masked:
            return p
        return multiply_plain(backend, p, self.scores.mask(seen), self.context.scale)

    def _dropped(self, grid: Sequence[V], level: int) -> list[V]:
        return [self.backend.drop_to(x, level) for x in grid]

    def _babies(self, grid: Sequence[V], level: int) -> list[list[V]]:
        """[j][column]: rot(x, S j)."""
        steps = [self.scores.layout.sub_slots * j for j in range(self.scores.baby)]
        rotated = [self.backend.rotate_many(x, steps) for x in self._dropped(grid, level)]
        return [list(column) for column in zip(*rotated, strict=True)]
