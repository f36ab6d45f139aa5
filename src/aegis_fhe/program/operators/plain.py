"""Operators with constants: masks, biases, affine parts."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import numpy as np

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import multiply_plain, plain_scale
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.operators.context import Context
from aegis_fhe.program.selection import Where

V = TypeVar("V")


class Term(msgspec.Struct, frozen=True):
    """A named constant on chosen slots of a block.

    For keys: of the first key block of the group, and of real queries in block `queries`.
    """

    constant: str
    where: Where = "everywhere"
    block: int = 0
    queries: int | None = None

    def plain(self, context: Context) -> SlotVector:
        """Its slots."""
        return context.plain(self.constant, self.where, self.block, self.queries)


class AddPlain(msgspec.Struct, frozen=True, tag=True):
    """x + the terms. Level and scale unchanged."""

    terms: tuple[Term, ...]

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One addition for each term."""
        x = inputs[0]
        for term in self.terms:
            x = backend.add_plain(x, term.plain(context))
        return [x]


class MultiplyPlain(msgspec.Struct, frozen=True, tag=True):
    """x * the sum of the terms, rescaled to the nominal scale. Level l -> l - 1."""

    terms: tuple[Term, ...]

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One product, one rescale."""
        plains = [term.plain(context) for term in self.terms]
        period = max(plain.period for plain in plains)
        total = SlotVector(np.sum([plain.dense(period) for plain in plains], axis=0))
        return [multiply_plain(backend, inputs[0], total, context.scale)]


class PlainSum(msgspec.Struct, frozen=True, tag=True):
    """sum_i inputs[i] * terms[i], rescaled once. Level: one below the lowest input; scale: nominal."""

    terms: tuple[Term, ...]

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """len(terms) products, one rescale."""
        level = min(backend.level(x) for x in inputs)
        total: V | None = None
        for x, term in zip(inputs, self.terms, strict=True):
            x = backend.drop_to(x, level)
            plain = term.plain(context)
            product = backend.mul_plain(x, plain, plain_scale(backend, x, context.scale))
            total = product if total is None else backend.add(total, product)
        assert total is not None
        return [backend.rescale(total)]
