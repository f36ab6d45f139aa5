"""Which feature lies in which column and sub-slot of a grid: densely packed, or head by head."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from aegis_fhe.errors import LayoutError
from aegis_fhe.program.long.folding import best_key_blocks
from aegis_fhe.program.long.layout import Array, GridLayout, Table, next_power_of_two

EMPTY = -1


@dataclass(frozen=True)
class _Columns:
    """Columns of a head-minor placement: groups of heads, each of head_dim columns."""

    padded: int
    groups: int
    copies: int


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Which feature each (column, sub-slot) of a grid holds.

    Dense (heads == 0): feature f in column f // S, sub-slot f % S.
    Head-minor: feature c of head h in column c, sub-slot kb * H + h for every key block kb < phi, with H =
    heads padded to a power of two and phi = `folds` <= S / H; heads may form groups of `group_heads` with
    columns of their own, of S where there are more of them than sub-slots. Feature c of head h is number
    (h * key_value_heads // heads) * head_dim + c, so shared keys and values are repeated.
    """

    features: int
    sub_slots: int
    heads: int = 0
    key_value_heads: int = 0
    head_dim: int = 0
    folds: int = 0
    group_heads: int = 0

    @classmethod
    def dense(cls, features: int, sub_slots: int) -> Placement:
        """Features tightly packed."""
        return cls(features=features, sub_slots=sub_slots)

    @classmethod
    def head_minor(
        cls,
        heads: int,
        head_dim: int,
        layout: GridLayout,
        key_value_heads: int | None = None,
        *,
        groups: int = 1,
    ) -> Placement:
        """One column for each feature inside a head of a group; phi by `best_key_blocks`, S / H at most.

        groups: how many at least, as even as they can be. Raises LayoutError when heads do not share evenly.
        """
        shared = heads if key_value_heads is None else key_value_heads
        if heads % shared:
            raise LayoutError(f"{heads} heads cannot share {shared} key-value heads evenly")
        own = min(-(-heads // groups), layout.sub_slots)
        padded = next_power_of_two(own)
        return cls(
            features=shared * head_dim,
            sub_slots=layout.sub_slots,
            heads=heads,
            key_value_heads=shared,
            head_dim=head_dim,
            folds=best_key_blocks(layout.sub_slots // padded, layout.tokens, head_dim),
            group_heads=own,
        )

    @property
    def _shape(self) -> _Columns:
        own = self.group_heads
        return _Columns(next_power_of_two(own), -(-self.heads // own), self.folds)

    @property
    def columns(self) -> int:
        """Ciphertexts per token block."""
        if self.heads:
            return self._shape.groups * self.head_dim
        return -(-self.features // self.sub_slots)

    @property
    def groups(self) -> int:
        """Groups of heads, each with columns of its own."""
        return self._shape.groups

    @property
    def padded_heads(self) -> int:
        """Heads of a group, a power of two, H."""
        return self._shape.padded

    @property
    def key_blocks(self) -> int:
        """Copies of a head in the sub-slots, phi: the factor by which keys can be folded."""
        return self._shape.copies

    def heads_of(self, group: int) -> Table:
        """[H]: the head in each of a group's sub-slots, or EMPTY."""
        head = group * self.group_heads + np.arange(self.padded_heads)
        inside = (np.arange(self.padded_heads) < self.group_heads) & (head < self.heads)
        return np.where(inside, head, EMPTY)

    def by_head(self, values: Array, group: int) -> Array:
        """[..., heads] -> [..., H] of one group, zero where no head is."""
        padded = np.concatenate([values, np.zeros((*values.shape[:-1], 1))], axis=-1)
        return padded[..., self.heads_of(group)]  # EMPTY points at the zero

    def table(self) -> Table:
        """[columns, sub_slots]: the feature's number, or EMPTY."""
        if not self.heads:
            table = np.arange(self.columns * self.sub_slots).reshape(-1, self.sub_slots)
            return np.where(table < self.features, table, EMPTY)
        shape = self._shape
        head = np.stack([self.heads_of(group) for group in range(shape.groups)])[:, None, :]
        shared = head * self.key_value_heads // self.heads
        feature = shared * self.head_dim + np.arange(self.head_dim)[None, :, None]
        one = np.where(head != EMPTY, feature, EMPTY).reshape(self.columns, shape.padded)
        table = np.full((self.columns, self.sub_slots), EMPTY)
        table[:, : shape.copies * shape.padded] = np.tile(one, (1, shape.copies))
        return table

    def vectors(self, vector: Array) -> list[Array]:
        """A vector over features -> one period of slot values for each column, zero where it is EMPTY."""
        padded = np.append(np.broadcast_to(vector, (self.features,)), 0.0)
        return list(padded[self.table()])

    def pack(self, hidden: Array, layout: GridLayout) -> list[list[Array]]:
        """Hidden states [rows, features] -> slot values [token block][column]; missing rows are zero.

        Raises LayoutError for a wrong shape.
        """
        rows = layout.tokens * layout.blocks
        if hidden.ndim != 2 or hidden.shape[0] > rows or hidden.shape[1] != self.features:
            raise LayoutError(f"expected at most {rows} rows of {self.features} features, got {hidden.shape}")
        padded = np.zeros((rows, self.features + 1))  # the last feature is what EMPTY points at
        padded[: hidden.shape[0], :-1] = hidden
        grid = padded.reshape(layout.blocks, layout.tokens, -1)[:, :, self.table()]
        return [[row[:, a].reshape(-1) for a in range(self.columns)] for row in grid]

    def unpack(self, grid: list[list[Array]], layout: GridLayout) -> Array:
        """Slot values [token block][column] -> hidden states [blocks * tokens, features]."""
        table = self.table()
        hidden = np.zeros((layout.blocks, layout.tokens, self.features))
        for block, columns in zip(hidden, grid, strict=True):
            for values, features in zip(columns, table, strict=True):
                used = features != EMPTY
                block[:, features[used]] = values.reshape(layout.tokens, -1)[:, used]
        return hidden.reshape(-1, self.features)
