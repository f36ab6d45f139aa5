"""Which slot of which ciphertext holds which number: token-major grids for long texts."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import LayoutError

Array = NDArray[np.float64]
Table = NDArray[np.int64]

# Fewer sub-slots would leave no room for the heads of a token.
LEAST_SUB_SLOTS = 16
TOKENS = range(8, 65537)


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
    def of(cls, slots: int, tokens: int, block_tokens: int | None = None) -> GridLayout:
        """For texts of up to `tokens` tokens: one block while LEAST_SUB_SLOTS sub-slots remain, then more.

        block_tokens: of a block, a power of two, if that is to be smaller.
        """
        if tokens not in TOKENS:
            raise LayoutError(f"{tokens} tokens; from {TOKENS.start} to {TOKENS.stop - 1} are supported")
        most = slots // LEAST_SUB_SLOTS
        if most < 1:
            raise LayoutError(
                f"{slots} slots hold no token of {LEAST_SUB_SLOTS} sub-slots: use a larger ring"
            )
        inside = min(next_power_of_two(tokens), most)
        if block_tokens is not None:
            if block_tokens > inside:
                raise LayoutError(
                    f"blocks of {block_tokens} tokens: {tokens} tokens in {slots} slots take at most {inside}"
                )
            inside = block_tokens
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

    def on_tokens(
        self, values: Array, block: int, tokens: int, elsewhere: float = 0.0, *, public: int = 0
    ) -> SlotVector:
        """One period [sub_slots] on the block's encrypted tokens, public <= t < tokens; else `elsewhere`.

        Periodic when all tokens of the block are encrypted.
        """
        token = block * self.tokens + np.arange(self.tokens)
        real = (token >= public) & (token < tokens)
        if real.all():
            return SlotVector(values)
        return SlotVector(np.where(real[:, None], values, elsewhere).reshape(-1))
