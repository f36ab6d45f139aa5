"""The simulating interpreter: clear slots, and noise drawn where encryption adds some.

Each operation draws a Gaussian of the standard deviation that `ckks.noise` states for it, independent from
slot to slot. What the noise then becomes, in products, polynomials and bootstraps, the slots themselves show.
Rounding of plaintexts and constants is left out: it lies below that of the rescale that follows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aegis_fhe.ckks import noise
from aegis_fhe.ckks.key_shape import narrow_parameters
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.program.clear import Array, ClearBackend, ClearValue


class SimulatedBackend(ClearBackend):
    """Implements `circuits.Backend`. sparse_weight: of the secret of raised moduli; seed: of the noise."""

    def __init__(self, params: Parameters, *, sparse_weight: int = 0, seed: int = 0) -> None:
        super().__init__(params.q, params.slots)
        self.params, self.sparse_weight = params, sparse_weight
        self._random = np.random.default_rng(seed)

    def encode(self, values: Array, level: int, scale: float) -> ClearValue:
        """What a fresh ciphertext holds."""
        return self._noisy(super().encode(values, level, scale), noise.fresh_noise(self.params))

    def relinearize(self, x: ClearValue) -> ClearValue:
        """One key switch."""
        return self._switched(super().relinearize(x), x.symbol.level, switched=x.symbol.components == 3)

    def rescale(self, x: ClearValue) -> ClearValue:
        """One rounding."""
        rounding = noise.mod_down_noise(self.params, x.symbol.components)
        return self._noisy(super().rescale(x), rounding)

    def relinearize_rescale(self, x: ClearValue) -> ClearValue:
        """One rounding for both."""
        if x.symbol.components == 2:
            return self.rescale(x)
        added = noise.fused_rescale_noise(self.params, 0.0, x.symbol.level)
        return self._noisy(super().relinearize_rescale(x), added)

    def rotate_many(self, x: ClearValue, steps: Sequence[int]) -> list[ClearValue]:
        """One key switch for each step that moves."""
        rotated = super().rotate_many(x, steps)
        return [
            self._switched(y, x.symbol.level, switched=bool(step % self.slots))
            for step, y in zip(steps, rotated, strict=True)
        ]

    def rotate_sum(self, xs: Sequence[ClearValue], steps: Sequence[int]) -> ClearValue:
        """Inner products, and one rounding."""
        total = super().rotate_sum(xs, steps)
        return self._noisy(
            total, noise.rotate_sum_noise(self.params, total.symbol.level, self._moving(steps))
        )

    def rotate_sum_rescale(self, xs: Sequence[ClearValue], steps: Sequence[int]) -> ClearValue:
        """Inner products, and one rounding for both."""
        level = min(x.symbol.level for x in xs)
        added = noise.fused_rescale_noise(self.params, 0.0, level, self._moving(steps))
        return self._noisy(super().rotate_sum_rescale(xs, steps), added)

    def conjugate(self, x: ClearValue) -> ClearValue:
        """One key switch."""
        return self._switched(super().conjugate(x), x.symbol.level, switched=True)

    def raise_modulus(self, x: ClearValue) -> ClearValue:
        """Two key switches; under the sparse secret a rounding weighs 1 + weight. No overflow is drawn: the
        sine takes it away.
        """
        narrow = narrow_parameters(self.params)
        rounding = math.sqrt((self.sparse_weight + 1) * noise.ROUNDING_VARIANCE)
        first = math.hypot(noise.key_product_noise(narrow, 0), rounding)
        second = noise.key_switch_noise(self.params, self.params.max_level)
        return self._noisy(super().raise_modulus(x), math.hypot(first, second))

    def _switched(self, x: ClearValue, level: int, *, switched: bool) -> ClearValue:
        return self._noisy(x, noise.key_switch_noise(self.params, level)) if switched else x

    def _moving(self, steps: Sequence[int]) -> int:
        return sum(bool(step % self.slots) for step in steps)

    def _noisy(self, x: ClearValue, coefficient_noise: float) -> ClearValue:
        """x with complex noise; coefficient_noise: standard deviation, in units of the integer polynomial."""
        std = noise.slot_std(self.params, coefficient_noise, x.symbol.scale)
        drawn = self._random.normal(0.0, std, (2, self.slots))
        return replace(x, slots=x.slots + drawn[0] + 1j * drawn[1])
