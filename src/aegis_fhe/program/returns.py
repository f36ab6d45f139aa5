"""What a program returns: how its result slots are read, and what shape the client sees."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import UnsupportedModuleError

Array = NDArray[np.float64]


class HiddenStates(msgspec.Struct, frozen=True, tag=True):
    """The last layer's result, [tokens, features]."""

    def read(self, rows: Array, tokens: int) -> Array:
        """rows [max_tokens, features], decoded from the slots -> those of the text."""
        return rows[:tokens]


class TokenMean(msgspec.Struct, frozen=True, tag=True):
    """The mean over the text's tokens, [1, features].

    Slots hold the sum in every token's place; the client divides it by the number of tokens.
    """

    def read(self, rows: Array, tokens: int) -> Array:
        """rows [tokens of a block, features] -> [1, features]."""
        return rows[:1] / tokens


class PooledToken(msgspec.Struct, frozen=True, tag=True):
    """tanh(W x + b) of the text's first token, [1, features]."""

    def read(self, rows: Array, tokens: int) -> Array:
        """rows [tokens of a block, features] -> the first."""
        return rows[:1]


class Logits(msgspec.Struct, frozen=True, tag=True):
    """One number for each label, [labels]; logit l lies in token `place(l)` of the block, feature 0.

    Raises UnsupportedModuleError without labels.
    """

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.labels:
            raise UnsupportedModuleError("a classifier needs at least one label, it has none")

    @staticmethod
    def place(label: int, tokens: int) -> int:
        """-label mod tokens: where rotations to the left copy the first token."""
        return -label % tokens

    def read(self, rows: Array, tokens: int) -> Array:
        """rows [tokens of a block, features] -> [labels]."""
        return rows[[self.place(label, len(rows)) for label in range(len(self.labels))], 0]


# For defaults.
HIDDEN_STATES = HiddenStates()

Returns = HiddenStates | TokenMean | PooledToken | Logits
