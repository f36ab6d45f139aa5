"""Queries, keys and values in head-minor columns: rotary positions, folded keys, what is known in clear."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import numpy as np

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import plain_scale
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.long.layout import Array, GridLayout
from aegis_fhe.program.long.placement import Placement
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class PlaceHeads(msgspec.Struct, frozen=True, tag=True):
    """Head-minor columns of one token block -> the same columns, in place for attention.

    cosine, sine: names of tables [positions, head_dim], or None: x_c cos - x_{c + half} sin and x_{c + half}
    cos + x_c sin for c < half = head_dim / 2 (Su et al., arXiv 2104.09864). The two features of a pair lie in
    different ciphertexts, so nothing is rotated. folded: sub-slot (kb, h) then holds token t + kb * T / phi
    of the input's token block, cyclically, phi = S / H. Level l -> l - 1, scale -> nominal.
    """

    layout: GridLayout
    placement: Placement
    block: int
    cosine: str | None = None
    sine: str | None = None
    folded: bool = False

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One or two products a column, times phi when folded, then phi - 1 rotations with one ModDown."""
        level = min(backend.level(x) for x in inputs)
        inputs = [backend.drop_to(x, level) for x in inputs]
        scale = plain_scale(backend, inputs[0], context.scale)
        results: list[V] = []
        for column in range(len(inputs)):
            used, factors = self._terms(column, context)
            rows = [[SlotVector(f) for f in self._selected(factors, kb)] for kb in range(self._copies)]
            parts = backend.mul_plain_sums([inputs[c] for c in used], rows, scale)
            shift = self.layout.slots // self._copies
            steps = [kb * shift for kb in range(self._copies)]
            results.append(backend.rotate_sum_rescale(parts, steps))
        return results

    @property
    def _copies(self) -> int:
        return self.placement.key_blocks if self.folded else 1

    def _terms(self, column: int, context: Context) -> tuple[list[int], list[Array]]:
        """The columns that a result is made of, and their factors: [tokens, 1]."""
        if self.cosine is None or self.sine is None:
            return [column], [np.ones((1, 1))]
        dim = self.placement.head_dim
        c, half = column % dim, dim // 2
        partner = column + half if c < half else column - half
        cosine, sine = (self._rows(context.constants[name], c) for name in (self.cosine, self.sine))
        return [column, partner], [cosine, -sine if c < half else sine]

    def _rows(self, table: Array, c: int) -> Array:
        """Column c of a table for the tokens of the block; a constant without axes fills them all."""
        if not table.ndim:
            return np.full((self.layout.tokens, 1), float(table))
        rows = table[self.block * self.layout.tokens :][: self.layout.tokens, c]
        return np.pad(rows, (0, self.layout.tokens - len(rows)))[:, None]

    def _selected(self, factors: list[Array], kb: int) -> list[Array]:
        """The factors in the sub-slots of one key block, or in all."""
        inside = np.ones(self.layout.sub_slots)
        if self.folded:
            inside = np.arange(self.layout.sub_slots) // self.placement.padded_heads == kb
        return [(factor * inside).reshape(-1) for factor in factors]


class AddHeads(msgspec.Struct, frozen=True, tag=True):
    """Head-minor columns of one token block + offset_h + at public token t what `public` says.

    offset: name of a table [heads, head_dim], everywhere; public: of one [public tokens, heads, head_dim];
    None for zero. folded: as the columns are. first: number of the first input's column. Level and scale
    unchanged.
    """

    layout: GridLayout
    placement: Placement
    block: int
    offset: str | None = None
    public: str | None = None
    folded: bool = False
    first: int = 0

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One addition a column."""
        table = self._table(context)
        return [
            backend.add_plain(x, SlotVector(self._column(table, column)))
            for column, x in enumerate(inputs, self.first)
        ]

    def _table(self, context: Context) -> Array:
        """[tokens of the block or 1, heads, head_dim]."""
        shape = (self.placement.heads, self.placement.head_dim)
        offset = np.zeros(shape) if self.offset is None else context.constants[self.offset]
        offset = np.broadcast_to(offset, shape)
        if self.public is None or self.block:
            alike: Array = offset.reshape(1, *shape)
            return alike
        table: Array = np.tile(offset, (self.layout.tokens, 1, 1))
        table[: context.public_tokens] += context.constants[self.public]
        return table

    def _column(self, table: Array, column: int) -> Array:
        """Slots of one column: head h in sub-slot kb * H + h, moved by kb * T / phi tokens when folded."""
        place, size = self.placement, self.layout.sub_slots
        padded, copies = place.padded_heads, place.key_blocks
        group, c = divmod(column, place.head_dim)
        own = place.by_head(table[:, :, c], group)
        slots = np.zeros((len(table), size))
        for kb in range(copies):
            shift = kb * (self.layout.tokens // copies) if self.folded and len(table) > 1 else 0
            slots[:, kb * padded :][:, : own.shape[1]] = np.roll(own, -shift, axis=0)
        return slots.reshape(-1)
