"""Attention over long texts: scores by diagonals of tokens, produced, used and dropped giant step by step.

With slot = t S + kb H + h and one ciphertext for each feature c inside a head,

    P[b i + j] = exp( sum_c rot(q_c, -S b i) rot(k_c, S j) ),  0 <= j < b,
    O_c        = sum_i rot( sum_j P[b i + j] rot(v_c, S j), S b i ),
    D          = sum_i rot( sum_j P[b i + j], S b i ):

P is not aligned with its query, so neither masks nor sums inside a ciphertext are needed, and D comes out
aligned with O: the division is deferred.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.polynomial import polynomial_depth
from aegis_fhe.circuits.products import multiply, multiply_plain
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import RangeError
from aegis_fhe.program.long.layout import Array, GridLayout, Placement
from aegis_fhe.program.operators.arithmetic import Polynomial
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


@lru_cache(maxsize=1024)
def attention_baby_steps(diagonals: int) -> int:
    """b with the fewest rotations b + ceil(diagonals / b); of equals the largest, to relinearise least."""
    return min(range(1, diagonals + 1), key=lambda b: (b + math.ceil(diagonals / b), -b))


class StreamingAttention(msgspec.Struct, frozen=True, tag=True):
    """Unnormalised attention of one group of heads over all token blocks.

    Inputs, each [token block][column]: Q with a copy in every key block kb; K and V folded (see PlaceHeads).
    Outputs: O [token block][column], then D [token block], both over the keys of their own kb alone: the sum
    over kb folds into what follows. exponential: a series in u = score + offset, squared `squarings` times;
    offset: name of one number for each head. causal: key <= query. Keys beyond the text are masked, and score
    ciphertexts without any key are left out. Levels: O `depth` below the lowest input, D one above O.
    """

    layout: GridLayout
    placement: Placement
    group: int
    exponential: Polynomial
    squarings: int
    offset: str
    causal: bool
    masked: bool

    @property
    def columns(self) -> int:
        """Ciphertexts of a group, C."""
        return self.placement.columns // self.placement.groups

    @property
    def diagonals(self) -> int:
        """Score ciphertexts of a pair of token blocks: T / phi."""
        return self.layout.tokens // self.placement.key_blocks

    @property
    def baby(self) -> int:
        """b."""
        return attention_baby_steps(self.diagonals)

    @property
    def giants(self) -> int:
        """g = ceil(diagonals / b); the last giant step may have fewer diagonals."""
        return math.ceil(self.diagonals / self.baby)

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
        different steps at most. Relinearisations: one a score and C for each giant step. Raises RangeError for
        a text with padding where scores are not masked.
        """
        if not self.masked and context.tokens < self.layout.tokens * self.layout.blocks:
            raise RangeError(
                f"the text has {context.tokens} tokens, the program was compiled for exactly "
                f"{self.layout.tokens * self.layout.blocks}: compile it for fewer tokens"
            )
        run = _Run(self, backend, context, inputs)
        for i in reversed(range(self.giants)):
            run.turn(i)
            for block in range(self.layout.blocks):
                run.accumulate(i, block)
        return run.results()

    def keys_seen(self, query_block: int, key_block: int, i: int, j: int, tokens: int) -> NDArray[np.bool_]:
        """[tokens, key blocks kb]: which slots of P[b i + j] hold a key that their query may see."""
        size, copies = self.layout.tokens, self.placement.key_blocks
        t, kb = np.arange(size)[:, None], np.arange(copies)[None, :]
        query = (t - i * self.baby) % size + query_block * size
        key = (t + j + kb * (size // copies)) % size + key_block * size
        seen = (key < tokens) & (query < tokens)
        return seen & (key <= query) if self.causal else seen

    def offsets(self, context: Context) -> SlotVector:
        """One period of what is added to scores; zero for heads that do not exist."""
        heads, padded = self.placement.heads, self.placement.padded_heads
        offsets = np.zeros(self.placement.groups * padded)
        offsets[:heads] = context.constants[self.offset]
        own = offsets[self.group * padded :][:padded]
        return self._in_key_blocks(np.tile(own, self.placement.key_blocks)[None, :])

    def mask(self, seen: NDArray[np.bool_]) -> SlotVector:
        """`keys_seen` as slots: 1 where a key is seen, for every head."""
        return self._in_key_blocks(np.repeat(seen, self.placement.padded_heads, axis=1).astype(np.float64))

    def _in_key_blocks(self, values: Array) -> SlotVector:
        """[rows, phi H] -> slots, zero in the sub-slots past the key blocks."""
        spare = self.layout.sub_slots - values.shape[1]
        return SlotVector(np.pad(values, ((0, 0), (0, spare))).reshape(-1))


@dataclass(frozen=True)
class _Score(Generic[V]):
    """One ciphertext of probabilities, and whose values it meets."""

    probability: V
    values: Sequence[V]


class _Run(Generic[V]):
    """The state of one run: babies of K and V, Q of the current giant step, the sums of the steps so far."""

    def __init__(
        self, operator: StreamingAttention, backend: Backend[V], context: Context, inputs: list[V]
    ) -> None:
        self.operator, self.backend, self.context = operator, backend, context
        blocks, columns = operator.layout.blocks, operator.columns
        level = min(backend.level(x) for x in inputs)
        grids = [inputs[start : start + columns] for start in range(0, len(inputs), columns)]
        self.aligned = [self._dropped(grid, level) for grid in grids[:blocks]]
        self.queries = self.aligned
        self.keys = [self._babies(grid, level) for grid in grids[blocks : 2 * blocks]]
        lower = level - operator.probability_depth
        self.values = [self._babies(grid, lower) for grid in grids[2 * blocks :]]
        self.offsets = operator.offsets(context)
        self.sums: list[list[V]] = [[] for _ in range(blocks)]

    def turn(self, i: int) -> None:
        """Queries and sums to giant step i."""
        backend, unit = self.backend, self.operator.layout.sub_slots * self.operator.baby
        last = i == self.operator.giants - 1
        if i:
            step = -unit * i if last else unit
            self.queries = [[backend.rotate(q, step) for q in grid] for grid in self.queries]
        else:
            self.queries = self.aligned
        if not last:
            self.sums = [[backend.rotate(x, unit) for x in grid] for grid in self.sums]

    def accumulate(self, i: int, block: int) -> None:
        """Adds the scores of one giant step to the sums of a block of queries."""
        scores = list(self._scores(i, block))
        if not scores:
            return
        probabilities, backend = [score.probability for score in scores], self.backend
        partial = []
        for c in range(self.operator.columns):
            product = backend.multiply_sum(probabilities, [score.values[c] for score in scores])
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

    def _scores(self, i: int, block: int) -> Iterator[_Score[V]]:
        operator = self.operator
        for key_block in range(operator.layout.blocks):
            for j in range(min(operator.baby, operator.diagonals - i * operator.baby)):
                seen = operator.keys_seen(block, key_block, i, j, self.context.tokens)
                if seen.any():
                    yield _Score(
                        self._probability(self.queries[block], self.keys[key_block][j], seen),
                        self.values[key_block][j],
                    )

    def _probability(self, queries: Sequence[V], keys: Sequence[V], seen: NDArray[np.bool_]) -> V:
        operator, backend = self.operator, self.backend
        score = backend.relinearize_rescale(backend.multiply_sum(queries, keys))
        (p,) = operator.exponential.lower(backend, [backend.add_plain(score, self.offsets)], self.context)
        for _ in range(operator.squarings):
            p = multiply(backend, p, p)
        if not operator.masked:
            return p
        return multiply_plain(backend, p, operator.mask(seen), self.context.scale)

    def _dropped(self, grid: Sequence[V], level: int) -> list[V]:
        return [self.backend.drop_to(x, level) for x in grid]

    def _babies(self, grid: Sequence[V], level: int) -> list[list[V]]:
        """[j][column]: rot(x, S j)."""
        steps = [self.operator.layout.sub_slots * j for j in range(self.operator.baby)]
        rotated = [self.backend.rotate_many(x, steps) for x in self._dropped(grid, level)]
        return [list(column) for column in zip(*rotated, strict=True)]
