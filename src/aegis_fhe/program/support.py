"""The support interpreter: which slots of a value may be other than zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.clear import Array, ClearBackend, ClearValue


class SupportBackend(ClearBackend):
    """Slots hold 1 where a value may be non-zero, else 0; sums become maxima."""

    def add(self, x: ClearValue, y: ClearValue) -> ClearValue:
        """Either."""
        return ClearValue(np.maximum(x.slots, y.slots), self.symbolic.add(x.symbol, y.symbol))

    def sub(self, x: ClearValue, y: ClearValue) -> ClearValue:
        """Either."""
        return self.add(x, y)

    def negate(self, x: ClearValue) -> ClearValue:
        """Unchanged."""
        return x

    def add_plain(self, x: ClearValue, v: SlotVector) -> ClearValue:
        """Either."""
        support = np.maximum(x.slots, v.dense(self.slots) != 0)
        return ClearValue(support, self.symbolic.add_plain(x.symbol, v))

    def add_scalar(self, x: ClearValue, c: float) -> ClearValue:
        """Everywhere, unless the constant is zero."""
        support = np.ones_like(x.slots) if c else x.slots
        return ClearValue(support, self.symbolic.add_scalar(x.symbol, c))

    def mul_plain(self, x: ClearValue, v: SlotVector, scale: float) -> ClearValue:
        """Both."""
        support = x.slots * (v.dense(self.slots) != 0)
        return ClearValue(support, self.symbolic.mul_plain(x.symbol, v, scale))

    def mul_scalar(self, x: ClearValue, c: float, scale: float) -> ClearValue:
        """Unchanged, unless the constant is zero."""
        return ClearValue(x.slots * (c != 0), self.symbolic.mul_scalar(x.symbol, c, scale))

    def mul_integer(self, x: ClearValue, m: int) -> ClearValue:
        """Unchanged, unless the constant is zero."""
        return ClearValue(x.slots * (m != 0), self.symbolic.mul_integer(x.symbol, m))

    def linear_combination(
        self,
        xs: Sequence[ClearValue],
        coefficients: Sequence[float],
        scale: float,
        *,
        constant: float = 0.0,
        onto: ClearValue | None = None,
    ) -> ClearValue:
        """Any whose coefficient is not zero, everywhere for a constant."""
        factors = [float(c != 0) for c in coefficients]
        total = super().linear_combination(xs, factors, scale, constant=float(constant != 0), onto=onto)
        return ClearValue(np.minimum(total.slots, 1.0), total.symbol)

    def mul_i(self, x: ClearValue) -> ClearValue:
        """Unchanged."""
        return ClearValue(x.slots, self.symbolic.mul_i(x.symbol))

    def sum(self, xs: Sequence[ClearValue]) -> ClearValue:
        """Any."""
        total = super().sum(xs)
        return ClearValue(np.minimum(total.slots, 1.0), total.symbol)

    def multiply_sum(
        self, xs: Sequence[ClearValue], ys: Sequence[ClearValue], onto: ClearValue | None = None
    ) -> ClearValue:
        """Both, in any of the products, or what they are added to."""
        product = super().multiply_sum(xs, ys, onto)
        return ClearValue(np.minimum(product.slots, 1.0), product.symbol)

    def rotate_sum(self, xs: Sequence[ClearValue], steps: Sequence[int]) -> ClearValue:
        """Any of the rotated values."""
        total = super().rotate_sum(xs, steps)
        return ClearValue(np.minimum(total.slots, 1.0), total.symbol)

    def with_scale(self, x: ClearValue, scale: float) -> ClearValue:
        """Unchanged."""
        return ClearValue(x.slots, self.symbolic.with_scale(x.symbol, scale))

    def _weighted_sum(self, xs: Sequence[ClearValue], row: Sequence[SlotVector | None]) -> Array:
        total = np.zeros(self.slots)
        for x, plain in zip(xs, row, strict=True):
            if plain is not None:
                both = x.slots.reshape(-1, plain.period) * (plain.values != 0)
                np.maximum(total, both.reshape(-1), out=total)
        return total
