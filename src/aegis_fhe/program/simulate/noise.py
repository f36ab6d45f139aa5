"""The noise of encrypted arithmetic, as numbers added to exact values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import ParameterError

Array = NDArray[np.float64]


class Noise:
    """Independent Gaussian noise of standard deviation bound * 2^-bits on every number."""

    def __init__(self, bits: float, rng: np.random.Generator) -> None:
        if not bits > 0:
            raise ParameterError(f"noise lies a positive number of bits below the bound, got {bits}")
        self._share = 2.0**-bits
        self._rng = rng

    def on(self, values: Array, bound: float) -> Array:
        """The values with noise; any shape."""
        noise = self._rng.standard_normal(values.shape, dtype=np.float32)
        noisy: Array = values + (self._share * bound) * noise
        return noisy
