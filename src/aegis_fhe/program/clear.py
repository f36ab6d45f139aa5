"""The clear interpreter: the same circuits on slots in double precision.

Shows what approximations cost, without noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.one_by_one import OneByOne
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks.slots import SlotVector

Array = NDArray[Any]


@dataclass(frozen=True)
class ClearValue:
    """Slot values in the open (float64, or complex128), with their ciphertext's level and scale.

    Never a decrypted result.
    """

    slots: Array
    symbol: Symbol


class ClearBackend(OneByOne):
    """Slots in double precision: implements `circuits.Backend`.

    Levels and scales are checked as in the symbolic interpreter.
    """

    def __init__(self, moduli: Sequence[int], slots: int) -> None:
        self.symbolic = SymbolicBackend(moduli, slots)

    @property
    def slots(self) -> int:
        """N / 2."""
        return self.symbolic.slots

    @property
    def moduli(self) -> tuple[int, ...]:
        """q_0 ... q_L."""
        return self.symbolic.moduli

    def encode(self, values: Array, level: int, scale: float) -> ClearValue:
        """What a fresh ciphertext of these slots would be."""
        return ClearValue(SlotVector(values).values, Symbol(level, scale))

    def level(self, x: ClearValue) -> int:
        """Rescalings left."""
        return x.symbol.level

    def scale(self, x: ClearValue) -> float:
        """Nominal scale."""
        return x.symbol.scale

    def add(self, x: ClearValue, y: ClearValue) -> ClearValue:
        """x + y."""
        return ClearValue(_shortest(x.slots + y.slots), self.symbolic.add(x.symbol, y.symbol))

    def sum(self, xs: Sequence[ClearValue]) -> ClearValue:
        """x_0 + x_1 + ..."""
        symbol = self.symbolic.sum([x.symbol for x in xs])
        return ClearValue(_shortest(reduce(np.add, (x.slots for x in xs))), symbol)

    def sub(self, x: ClearValue, y: ClearValue) -> ClearValue:
        """x - y."""
        return ClearValue(x.slots - y.slots, self.symbolic.sub(x.symbol, y.symbol))

    def negate(self, x: ClearValue) -> ClearValue:
        """-x."""
        return ClearValue(-x.slots, self.symbolic.negate(x.symbol))

    def add_plain(self, x: ClearValue, v: SlotVector) -> ClearValue:
        """x + v."""
        return ClearValue(x.slots + v.dense(self.slots), self.symbolic.add_plain(x.symbol, v))

    def add_scalar(self, x: ClearValue, c: float) -> ClearValue:
        """x + c."""
        return ClearValue(x.slots + c, self.symbolic.add_scalar(x.symbol, c))

    def mul_plain(self, x: ClearValue, v: SlotVector, scale: float) -> ClearValue:
        """x * v."""
        return ClearValue(x.slots * v.dense(self.slots), self.symbolic.mul_plain(x.symbol, v, scale))

    def mul_plain_sums(
        self, xs: Sequence[ClearValue], rows: Sequence[Sequence[SlotVector | None]], scale: float
    ) -> list[ClearValue]:
        """sum_b xs[b] * rows[r][b] for each r."""
        symbols = self.symbolic.mul_plain_sums([x.symbol for x in xs], rows, scale)
        return [
            ClearValue(self._weighted_sum(xs, row), symbol) for row, symbol in zip(rows, symbols, strict=True)
        ]

    def _weighted_sum(self, xs: Sequence[ClearValue], row: Sequence[SlotVector | None]) -> Array:
        total: Array = np.zeros(self.slots)
        for x, plain in zip(xs, row, strict=True):
            if plain is not None:
                total = total + (x.slots.reshape(-1, plain.period) * plain.values).reshape(-1)
        return total

    def mul_scalar(self, x: ClearValue, c: float, scale: float) -> ClearValue:
        """x * c."""
        return ClearValue(x.slots * c, self.symbolic.mul_scalar(x.symbol, c, scale))

    def mul_integer(self, x: ClearValue, m: int) -> ClearValue:
        """x * m."""
        return ClearValue(x.slots * m, self.symbolic.mul_integer(x.symbol, m))

    def linear_combination(
        self,
        xs: Sequence[ClearValue],
        coefficients: Sequence[float],
        scale: float,
        *,
        constant: float = 0.0,
        onto: ClearValue | None = None,
    ) -> ClearValue:
        """onto + sum_i coefficients[i] * xs[i] + constant."""
        held = None if onto is None else onto.symbol
        symbol = self.symbolic.linear_combination(
            [x.symbol for x in xs], coefficients, scale, constant=constant, onto=held
        )
        total = reduce(np.add, (x.slots * c for x, c in zip(xs, coefficients, strict=True))) + constant
        return ClearValue(_shortest(total if onto is None else onto.slots + total), symbol)

    def mul_i(self, x: ClearValue) -> ClearValue:
        """i x."""
        return ClearValue(_shortest(x.slots * 1j), self.symbolic.mul_i(x.symbol))

    def multiply(self, x: ClearValue, y: ClearValue) -> ClearValue:
        """x * y."""
        return self.multiply_sum([x], [y])

    def multiply_sum(
        self, xs: Sequence[ClearValue], ys: Sequence[ClearValue], onto: ClearValue | None = None
    ) -> ClearValue:
        """onto + sum_i xs[i] * ys[i]."""
        held = None if onto is None else onto.symbol
        symbol = self.symbolic.multiply_sum([x.symbol for x in xs], [y.symbol for y in ys], held)
        total: Array = np.zeros(self.slots) if onto is None else onto.slots
        for x, y in zip(xs, ys, strict=True):
            total = total + x.slots * y.slots
        return ClearValue(total, symbol)

    def relinearize(self, x: ClearValue) -> ClearValue:
        """The same values."""
        return ClearValue(x.slots, self.symbolic.relinearize(x.symbol))

    def rescale(self, x: ClearValue) -> ClearValue:
        """The same values."""
        return ClearValue(x.slots, self.symbolic.rescale(x.symbol))

    def relinearize_rescale(self, x: ClearValue) -> ClearValue:
        """The same values."""
        return ClearValue(x.slots, self.symbolic.relinearize_rescale(x.symbol))

    def drop_to(self, x: ClearValue, level: int) -> ClearValue:
        """The same values."""
        return ClearValue(x.slots, self.symbolic.drop_to(x.symbol, level))

    def rotate(self, x: ClearValue, step: int) -> ClearValue:
        """Rotation to the left."""
        return self.rotate_many(x, [step])[0]

    def rotate_many(self, x: ClearValue, steps: Sequence[int]) -> list[ClearValue]:
        """Rotations to the left."""
        symbols = self.symbolic.rotate_many(x.symbol, steps)
        return [
            ClearValue(np.roll(x.slots, -step), symbol) for step, symbol in zip(steps, symbols, strict=True)
        ]

    def rotate_sum(self, xs: Sequence[ClearValue], steps: Sequence[int]) -> ClearValue:
        """sum_i rot(xs[i], steps[i])."""
        symbol = self.symbolic.rotate_sum([x.symbol for x in xs], steps)
        return ClearValue(self._rotated_sum(xs, steps), symbol)

    def rotate_sum_rescale(self, xs: Sequence[ClearValue], steps: Sequence[int]) -> ClearValue:
        """As rotate_sum."""
        symbol = self.symbolic.rotate_sum_rescale([x.symbol for x in xs], steps)
        return ClearValue(self._rotated_sum(xs, steps), symbol)

    def _rotated_sum(self, xs: Sequence[ClearValue], steps: Sequence[int]) -> Array:
        total: Array = np.zeros(self.slots)
        for x, step in zip(xs, steps, strict=True):
            total = total + np.roll(x.slots, -step)
        return total

    def conjugate(self, x: ClearValue) -> ClearValue:
        """The conjugate of every slot."""
        return ClearValue(x.slots.conj(), self.symbolic.conjugate(x.symbol))

    def raise_modulus(self, x: ClearValue) -> ClearValue:
        """The same values: a message without overflow."""
        return ClearValue(x.slots, self.symbolic.raise_modulus(x.symbol))

    def with_scale(self, x: ClearValue, scale: float) -> ClearValue:
        """Values times scale(x) / scale."""
        return ClearValue(x.slots * x.symbol.scale / scale, self.symbolic.with_scale(x.symbol, scale))


def _shortest(slots: Array) -> Array:
    """Complex slots without an imaginary part, as float64."""
    return slots if np.isrealobj(slots) or slots.imag.any() else np.ascontiguousarray(slots.real)
