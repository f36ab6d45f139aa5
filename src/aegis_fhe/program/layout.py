"""Which slot holds which number: the token-major layout as a function from slots to tensor indices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.rotations import RotationLadder
from aegis_fhe.errors import LayoutError

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TokenMajorLayout:
    """slot(t, z, c, h) = t * sub_slots + z * width + c * heads + h.

    t: token inside its block, 0 <= t < tokens. z: zone, 0 <= z < zones; hidden states use zone 0, keys and
    values of key block z lie in zone z. c: feature inside a head, 0 <= c < head_dim; h: head.
    width = heads * head_dim; feature f of a hidden state (Hugging Face order) is h * head_dim + c.
    Sub-slots past zones * width are zero.

    Two facts the circuits rely on: head_dim == tokens, so that the head_dim columns of a zone can name the
    tokens of a key block; and 2 * width <= sub_slots, so that a window of sub_slots slots around any feature
    of a token holds that token alone (sums over features then need neither mask nor level).
    """

    slots: int
    tokens: int
    heads: int
    head_dim: int
    zones: int

    def __post_init__(self) -> None:
        if self.tokens != self.head_dim:
            raise LayoutError(
                f"a token block must hold head_dim = {self.head_dim} tokens, got {self.tokens}: "
                f"compile for a multiple of {self.head_dim} tokens"
            )
        if self.slots % self.tokens or self.tokens & (self.tokens - 1):
            raise LayoutError(
                f"{self.tokens} tokens in a block do not divide {self.slots} slots into powers of two"
            )
        if max(2, self.zones) * self.width > self.sub_slots:
            raise LayoutError(
                f"{self.width} features in {self.zones} zones do not fit into {self.sub_slots} "
                f"sub-slots per token (max(2, zones) * width must not exceed them): use a larger ring degree"
            )

    @property
    def width(self) -> int:
        """Features of a hidden state."""
        return self.heads * self.head_dim

    @property
    def sub_slots(self) -> int:
        """Slots per token, S."""
        return self.slots // self.tokens

    @property
    def ladder_base(self) -> int:
        """Columns of a giant step: a power of two near sqrt(head_dim)."""
        base: int = 2 ** (int(np.log2(self.head_dim)) // 2)
        return base

    @property
    def giant_base(self) -> int:
        """Giant steps of a stride: a power of two near the root of how many there are."""
        base: int = 2 ** (int(np.log2(2 * self.head_dim // self.ladder_base)) // 2)
        return base

    @property
    def giant(self) -> int:
        """Giant step of the linear layers: ladder_base columns."""
        return self.ladder_base * self.heads

    @property
    def feature_ladder(self) -> RotationLadder:
        """Rotations by features: columns, and two divisors of the heads inside one."""
        few = max(m for m in range(1, self.heads + 1) if self.heads % m == 0 and m * m <= self.heads)
        return RotationLadder((self.heads, self.heads // few, 1), (few, self.heads // few))

    @property
    def giant_ladder(self) -> RotationLadder:
        """Rotations by giant steps."""
        return RotationLadder((self.giant_base * self.giant, self.giant), (self.giant_base,))

    @property
    def column_ladder(self) -> RotationLadder:
        """Rotations by columns."""
        return _refined(self.giant_ladder, self.heads)

    @property
    def coarse_token_ladder(self) -> RotationLadder:
        """Rotations by ladder_base tokens."""
        unit = self.ladder_base * self.sub_slots
        return RotationLadder((self.giant_base * unit, unit), (self.giant_base,))

    @property
    def token_ladder(self) -> RotationLadder:
        """Rotations by tokens."""
        return _refined(self.coarse_token_ladder, self.sub_slots)

    def slot(self, token: int, zone: int, column: int, head: int) -> int:
        """Slot of one number; raises LayoutError outside the layout."""
        if not (0 <= token < self.tokens and 0 <= zone < self.zones):
            raise LayoutError(
                f"token {token}, zone {zone} lie outside {self.tokens} tokens, {self.zones} zones"
            )
        if not (0 <= column < self.head_dim and 0 <= head < self.heads):
            raise LayoutError(f"column {column}, head {head} lie outside {self.head_dim} x {self.heads}")
        return token * self.sub_slots + zone * self.width + column * self.heads + head

    def feature_order(self) -> NDArray[np.int64]:
        """order[g] = feature in sub-slot g of zone 0: g = c * heads + h holds feature h * head_dim + c."""
        order: NDArray[np.int64] = np.arange(self.width).reshape(self.heads, self.head_dim).T.reshape(-1)
        return order

    def pack(self, hidden: Array) -> Array:
        """Hidden states [rows <= tokens, width] -> slot values [slots], zone 0; missing rows are zero."""
        if hidden.ndim != 2 or hidden.shape[0] > self.tokens or hidden.shape[1] != self.width:
            raise LayoutError(
                f"expected at most {self.tokens} rows of {self.width} features, got {hidden.shape}"
            )
        values = np.zeros((self.tokens, self.sub_slots))
        values[: hidden.shape[0], : self.width] = hidden[:, self.feature_order()]
        return values.reshape(-1)

    def unpack(self, values: Array) -> Array:
        """Slot values [slots] -> hidden states [tokens, width] of zone 0."""
        rows = values.reshape(self.tokens, self.sub_slots)[:, : self.width]
        hidden = np.empty_like(rows)
        hidden[:, self.feature_order()] = rows
        return hidden

    def features(self, vector: Array, zone: int = 0) -> Array:
        """A vector over features [width] -> one period of slot values [sub_slots] in `zone`."""
        values = np.zeros(self.sub_slots)
        start = zone * self.width
        values[start : start + self.width] = vector[self.feature_order()]
        return values

    def columns(self, table: Array, zone: int = 0) -> Array:
        """A table [head_dim, heads] (column, head) -> one period of slot values [sub_slots] in `zone`."""
        values = np.zeros(self.sub_slots)
        start = zone * self.width
        values[start : start + self.width] = np.broadcast_to(table, (self.head_dim, self.heads)).reshape(-1)
        return values

    def matrix(self, weight: Array) -> Array:
        """A matrix [in features, out features] in Hugging Face order -> in sub-slot order."""
        order = self.feature_order()
        permuted: Array = weight[np.ix_(order, order)]
        return permuted


def _refined(ladder: RotationLadder, unit: int) -> RotationLadder:
    """The ladder with a smaller unit that divides its smallest."""
    return RotationLadder((*ladder.units, unit), (*ladder.bases, ladder.units[-1] // unit))
