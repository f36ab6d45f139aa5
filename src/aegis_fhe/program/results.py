"""What a run gives, a type for each way to run: none passes for a decrypted result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.program.returns import HIDDEN_STATES, Logits, Returns

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """values: float64, in the shape that `returns` says."""

    values: Array
    returns: Returns = HIDDEN_STATES

    @property
    def hidden(self) -> Array:
        """[tokens, features], or [1, features] of a pooled result. Raises CompatibilityError for logits."""
        if isinstance(self.returns, Logits):
            raise CompatibilityError("the program returns logits, no hidden states: read `logits`")
        return self.values

    @property
    def logits(self) -> Array:
        """[labels]. Raises CompatibilityError when the program is no classifier."""
        if not isinstance(self.returns, Logits):
            kind = type(self.returns).__name__
            raise CompatibilityError(f"the program returns {kind}, no logits: read `hidden`")
        return self.values


class ClearResult(Result):
    """The program's approximations in float64, without noise."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SimulatedResult(Result):
    """As ClearResult, with noise drawn as encryption would add it."""

    seed: int
