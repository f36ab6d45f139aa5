"""What a run without ciphertexts gives: types of their own, so that none passes for a decrypted result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ClearResult:
    """hidden [tokens, features] or [1, features]: the program's approximations in float64, without noise."""

    hidden: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SimulatedResult:
    """As ClearResult, with noise drawn as encryption would add it."""

    hidden: NDArray[np.float64]
    seed: int
