"""Which slot of which ciphertext holds which number: token-major grids for long texts."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import LayoutError

Array = NDArray[np.float64]
Table = NDArray[np.int64]

# Fewer sub-slots would leave no room for the heads of a token.
LEAST_SUB_SLOTS = 16
TOKENS = range(8, 4097)
EMPTY = -1


def next_power_of_two(count: int) -> int:
    """The smallest power of two >= count."""
    return 1 << (count - 1).bit_length()


class GridLayout(msgspec.Struct, frozen=True, kw_only=True):
    """slot(t, g) = t * sub_slots + g: T = `tokens` tokens in each of `blocks` token blocks, S = slots / T.

    A value is a grid of ciphertexts [token block, column]; a `Placement` says which feature lies in which
    column and sub-slot. A vector that depends on g alone has period S. Raises LayoutError.
    """

    slots: int
    tokens: int
    blocks: int

    def __post_init__(self) -> None:
        powers = all(n > 0 and n & (n - 1) == 0 for n in (self.slots, self.tokens))
        if not powers or self.tokens > self.slots:
            raise LayoutError(
                f"{self.tokens} tokens in {self.slots} slots: both must be powers of two, and slots no fewer"
            )
        if self.blocks < 1:
            raise LayoutError(f"{self.blocks} token blocks; at least one is needed")

    @classmethod
    def of(cls, slots: int, tokens: int) -> GridLayout:
        """For texts of up to `tokens` tokens: one block while LEAST_SUB_SLOTS sub-slots remain, then more."""
        if tokens not in TOKENS:
            raise LayoutError(f"{tokens} tokens; from {TOKENS.start} to {TOKENS.stop - 1} are supported")
        most = slots // LEAST_SUB_SLOTS
        if most < 1:
            raise LayoutError(
                f"{slots} slots hold no token of {LEAST_SUB_SLOTS} sub-slots: use a larger ring"
            )
        inside = min(next_power_of_two(tokens), most)
        return cls(slots=slots, tokens=inside, blocks=-(-tokens // inside))

    @property
    def sub_slots(self) -> int:
        """Slots per token, S."""
        return self.slots // self.tokens

    def slot(self, token: int, sub_slot: int) -> tuple[int, int]:
        """(token block, slot) of a token of the text. Raises LayoutError outside the grid."""
        if not (0 <= token < self.tokens * self.blocks and 0 <= sub_slot < self.sub_slots):
            raise LayoutError(
                f"token {token}, sub-slot {sub_slot} lie outside {self.tokens * self.blocks} tokens, "
                f"{self.sub_slots} sub-slots"
            )
        block, row = divmod(token, self.tokens)
        return block, row * self.sub_slots + sub_slot

    def pack(self, hidden: Array, placement: Placement) -> list[list[Array]]:
        """Hidden states [rows, features] -> slot values [token block][column]; missing rows are zero."""
        rows = self.tokens * self.blocks
        if hidden.ndim != 2 or hidden.shape[0] > rows or hidden.shape[1] != placement.features:
            raise LayoutError(
                f"expected at most {rows} rows of {placement.features} features, got {hidden.shape}"
            )
        padded = np.zeros((rows, placement.features + 1))  # the last feature is what EMPTY points at
        padded[: hidden.shape[0], :-1] = hidden
        grid = padded.reshape(self.blocks, self.tokens, -1)[:, :, placement.table()]
        return [[grid[p, :, a].reshape(-1) for a in range(placement.columns)] for p in range(self.blocks)]

    def unpack(self, grid: list[list[Array]], placement: Placement) -> Array:
        """Slot values [token block][column] -> hidden states [blocks * tokens, features]."""
        table = placement.table()
        hidden = np.zeros((self.blocks, self.tokens, placement.features))
        for block, columns in zip(hidden, grid, strict=True):
            for values, features in zip(columns, table, strict=True):
                used = features != EMPTY
                block[:, features[used]] = values.reshape(self.tokens, -1)[:, used]
        return hidden.reshape(-1, placement.features)

    def on_tokens(self, values: Array, block: int, tokens: int, elsewhere: float = 0.0) -> SlotVector:
        """One period [sub_slots] on the block's tokens below `tokens`, `elsewhere` on the others.

        Periodic when all tokens of the block are real.
        """
        real = block * self.tokens + np.arange(self.tokens) < tokens
        if real.all():
            return SlotVector(values)
        return SlotVector(np.where(real[:, None], values, elsewhere).reshape(-1))


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
    heads padded to a power of two and phi = S / H or fewer, see `most_key_blocks`; with H > S, heads form
    groups of S with columns of their own. Feature c of head h is number (h * key_value_heads // heads) *
    head_dim + c, so shared keys and values are repeated.
    """

    features: int
    sub_slots: int
    heads: int = 0
    key_value_heads: int = 0
    head_dim: int = 0
    most_key_blocks: int = 0

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
    ) -> Placement:
        """One column for each feature inside a head; no more key blocks than a token block has tokens.

        Raises LayoutError when heads do not share evenly.
        """
        shared = heads if key_value_heads is None else key_value_heads
        if heads % shared:
            raise LayoutError(f"{heads} heads cannot share {shared} key-value heads evenly")
        return cls(
            features=shared * head_dim,
            sub_slots=layout.sub_slots,
            heads=heads,
            key_value_heads=shared,
            head_dim=head_dim,
            most_key_blocks=layout.tokens,
        )

    @property
    def _shape(self) -> _Columns:
        padded = min(next_power_of_two(self.heads), self.sub_slots)
        copies = min(self.sub_slots // padded, self.most_key_blocks)
        return _Columns(padded, -(-self.heads // padded), copies)

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

    def table(self) -> Table:
        """[columns, sub_slots]: the feature's number, or EMPTY."""
        if not self.heads:
            table = np.arange(self.columns * self.sub_slots).reshape(-1, self.sub_slots)
            return np.where(table < self.features, table, EMPTY)
        shape = self._shape
        head = np.arange(shape.groups * shape.padded).reshape(shape.groups, 1, shape.padded)
        shared = head * self.key_value_heads // self.heads
        feature = shared * self.head_dim + np.arange(self.head_dim)[None, :, None]
        one = np.where(head < self.heads, feature, EMPTY).reshape(self.columns, shape.padded)
        table = np.full((self.columns, self.sub_slots), EMPTY)
        table[:, : shape.copies * shape.padded] = np.tile(one, (1, shape.copies))
        return table

    def vectors(self, vector: Array) -> list[Array]:
        """A vector over features -> one period of slot values for each column, zero where it is EMPTY."""
        padded = np.append(np.broadcast_to(vector, (self.features,)), 0.0)
        return list(padded[self.table()])
