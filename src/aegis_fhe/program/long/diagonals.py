"""The diagonals of a score matrix over tokens: which query meets which key in which ciphertext."""

from __future__ import annotations

import math
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.long.folding import attention_baby_steps
from aegis_fhe.program.long.layout import Array, GridLayout
from aegis_fhe.program.long.placement import Placement
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class Babies(msgspec.Struct, frozen=True, tag=True):
    """rot(x, unit j) for j = first ... first + count - 1 of every input, input by input: turned once.

    Level and scale unchanged.
    """

    unit: int
    count: int
    first: int = 0

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One rotation for each j but 0 of each input, one ModUp for all of an input's."""
        steps = [self.unit * j for j in range(self.first, self.first + self.count)]
        return [rotated for own in backend.rotate_many_each(inputs, steps) for rotated in own]


class ScoreDiagonals(msgspec.Struct, frozen=True):
    """Scores of one group of heads: diagonal b i + j holds, in slot (t, kb, h), query t - b i and key

        t + j + kb * T / phi  (all modulo T), of head h,

    for each pair of token blocks. causal: a query sees the keys up to its own token. most_babies: of the
    2 C b rotated keys and values that are held for each token block, None for any number. steps: how many
    giant steps at most, by default as many as take the fewest rotations.
    """

    layout: GridLayout
    placement: Placement
    group: int
    causal: bool
    most_babies: int | None = None
    steps: int | None = None

    @property
    def columns(self) -> int:
        """Ciphertexts of a group and token block in Q, K, V and O, C."""
        return self.placement.columns // self.placement.groups

    @property
    def count(self) -> int:
        """Score ciphertexts of a pair of token blocks: T / phi."""
        return self.layout.tokens // self.placement.key_blocks

    @property
    def baby(self) -> int:
        """b."""
        best = math.ceil(self.count / self.steps) if self.steps else attention_baby_steps(self.count)
        return best if self.most_babies is None else min(best, max(1, self.most_babies // (2 * self.columns)))

    @property
    def giants(self) -> int:
        """g = ceil(count / b); the last giant step may have fewer diagonals."""
        return math.ceil(self.count / self.baby)

    def babies(self, i: int) -> range:
        """The j of giant step i."""
        return range(min(self.baby, self.count - i * self.baby))

    def key_blocks_seen(self, query_block: int) -> range:
        """Token blocks of keys that a block of queries sees in a text as long as the layout allows."""
        return range(query_block + 1 if self.causal else self.layout.blocks)

    def pairs(self, query_block: int, i: int, first: int, last: int) -> list[int]:
        """Of first <= b (key block) + j < last: those of giant step i in which a query may see a key."""
        seen, babies = self.key_blocks_seen(query_block), self.babies(i)
        return [p for p in range(first, last) if p // self.baby in seen and p % self.baby in babies]

    def places(self) -> list[tuple[int, int, int, int]]:
        """(query block, key block, i, j) of every score ciphertext in which a query may see a key."""
        blocks, steps = range(self.layout.blocks), range(self.giants)
        pairs = [(p, q) for p in blocks for q in self.key_blocks_seen(p)]
        return [(p, q, i, j) for p, q in pairs for i in steps for j in self.babies(i)]

    def queries(self, block: int, i: int) -> NDArray[np.int64]:
        """[T]: the token of a block's query in each row of giant step i."""
        size = self.layout.tokens
        tokens: NDArray[np.int64] = (np.arange(size) - i * self.baby) % size + block * size
        return tokens

    def keys_seen(
        self, query_block: int, key_block: int, i: int, j: int, tokens: int, *, public: int = 0
    ) -> NDArray[np.bool_]:
        """[T, phi]: where diagonal b i + j holds a key of a text of `tokens` that its query may see.

        Queries of public tokens see none: their results are known.
        """
        size, copies = self.layout.tokens, self.placement.key_blocks
        if self._all_seen(query_block, key_block, tokens, public):
            return np.ones((size, copies), dtype=bool)
        t, kb = np.arange(size)[:, None], np.arange(copies)[None, :]
        query = self.queries(query_block, i)[:, None]
        key = (t + j + kb * (size // copies)) % size + key_block * size
        seen: NDArray[np.bool_] = (key < tokens) & (query < tokens) & (query >= public)
        return seen & (key <= query) if self.causal else seen

    def _all_seen(self, query_block: int, key_block: int, tokens: int, public: int) -> bool:
        """Whether every query of a block sees every key of the other, as in whole texts most do."""
        size = self.layout.tokens
        whole = (max(query_block, key_block) + 1) * size <= tokens and query_block * size >= public
        return whole and (key_block < query_block or not self.causal)

    def mask(self, seen: NDArray[np.bool_]) -> SlotVector:
        """`keys_seen` as slots: 1 where a key is seen, for every head."""
        return self._slots(np.repeat(seen, self.placement.padded_heads, axis=1).astype(np.float64))

    def by_head(self, values: Array) -> SlotVector:
        """[heads] or [rows, heads] -> slots, of one period or of all; zero for heads that do not exist."""
        rows = np.broadcast_to(np.atleast_2d(values), (len(np.atleast_2d(values)), self.placement.heads))
        own = self.placement.by_head(rows, self.group)
        return self._slots(np.tile(own, (1, self.placement.key_blocks)))

    def _slots(self, values: Array) -> SlotVector:
        """[rows, phi H] -> slots, zero in the sub-slots past the key blocks."""
        spare = self.layout.sub_slots - values.shape[1]
        return SlotVector(np.pad(values, ((0, 0), (0, spare))).reshape(-1))
