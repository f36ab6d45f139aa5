"""Statistics over the features of a token: sums over columns, and over the sub-slots of one ciphertext."""

from __future__ import annotations

import math
from typing import TypeVar

import msgspec
import numpy as np

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import multiply_plain
from aegis_fhe.circuits.rotations import sum_of_rotations
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class FeatureSum(msgspec.Struct, frozen=True, tag=True):
    """factor * sum_f x_f + offset of every token, in all its sub-slots; `padding` for all other tokens.

    The rotations also bring in features of the next token, except in sub-slot 0: hence the mask, and the way
    back. Sub-slots outside the features must hold zero.
    """

    layout: GridLayout
    block: int
    factor: float
    offset: float = 0.0
    padding: float = 0.0

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """log2 S rotations, a mask, log2 S rotations back. Level l -> l - 1, scale -> nominal."""
        total = inputs[0]
        for x in inputs[1:]:
            total = backend.add(total, x)
        powers = [1 << i for i in range(self.layout.sub_slots.bit_length() - 1)]
        total = sum_of_rotations(backend, total, powers)
        mask = np.zeros(self.layout.sub_slots)
        mask[0] = self.factor
        kept = self.layout.on_tokens(mask, self.block, context.tokens, public=context.public_tokens)
        total = multiply_plain(backend, total, kept, context.scale)
        total = sum_of_rotations(backend, total, [-power for power in powers])
        ones = np.ones(self.layout.sub_slots)
        added = self.layout.on_tokens(
            self.offset * ones, self.block, context.tokens, self.padding, public=context.public_tokens
        )
        return [backend.add_plain(total, added)]


class SquareSum(msgspec.Struct, frozen=True, tag=True):
    """multiple * (sum_a x_a^2 - excess / S * m^2) over the columns of a grid: inputs x, and m if any excess.

    excess: how many of the last column's S sub-slots lie outside the features and hold -m, as they do after
    the subtraction of a mean; over the sub-slots of a token their squares cancel. Level l -> l - 1.
    """

    sub_slots: int
    excess: int = 0

    @property
    def multiple(self) -> int:
        """The smallest that leaves integers: S / gcd(excess, S)."""
        return self.sub_slots // math.gcd(self.excess, self.sub_slots)

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """A product for each input, one relinearisation. Scale: the square over the prime."""
        level = min(backend.level(x) for x in inputs)
        xs = [backend.drop_to(x, level) for x in inputs]
        ys = xs
        if self.excess:
            subtracted = -self.excess * self.multiple // self.sub_slots
            ys = [backend.mul_integer(x, self.multiple) for x in xs[:-1]]
            ys.append(backend.mul_integer(xs[-1], subtracted))
        return [backend.relinearize_rescale(backend.multiply_sum(ys, xs))]


class HeadSum(msgspec.Struct, frozen=True, tag=True):
    """factor * sum_kb x(t, kb, h) + offset for every head, in all its sub-slots; `padding` elsewhere.

    Elsewhere: tokens that are not encrypted and the sub-slots of heads that do not exist. Rotations by H and
    2H alone would mix in the next token: hence the mask and the way back (one level, also where phi = 1).
    """

    layout: GridLayout
    block: int
    heads: int
    padded_heads: int
    key_blocks: int
    factor: float
    offset: float
    padding: float

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """log2 phi rotations, a mask, log2 phi rotations back. Level l -> l - 1, scale -> nominal."""
        size, sub_slots = self.padded_heads, self.layout.sub_slots
        steps = [size << i for i in range(self.key_blocks.bit_length() - 1)]
        total = sum_of_rotations(backend, inputs[0], steps)
        sub_slot = np.arange(sub_slots)
        first = np.where(sub_slot < self.heads, self.factor, 0.0)
        kept = self.layout.on_tokens(first, self.block, context.tokens, public=context.public_tokens)
        total = multiply_plain(backend, total, kept, context.scale)
        total = sum_of_rotations(backend, total, [-step for step in steps])
        offsets = np.where(sub_slot % size < self.heads, self.offset, self.padding)
        added = self.layout.on_tokens(
            offsets, self.block, context.tokens, self.padding, public=context.public_tokens
        )
        return [backend.add_plain(total, added)]
