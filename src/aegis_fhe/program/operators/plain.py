"""Operators with constants: masks, biases, affine parts."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import multiply_plain, plain_scale
from aegis_fhe.program.operators.context import Context
from aegis_fhe.program.selection import Where

V = TypeVar("V")


class Term(msgspec.Struct, frozen=True):
    """A named constant on chosen slots of a block (for keys: of the first key block of the group)."""

    constant: str
    where: Where = "everywhere"
    block: int = 0


class AddPlain(msgspec.Struct, frozen=True, tag=True):
    """x + the terms. Level and scale unchanged."""

    terms: tuple[Term, ...]

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One addition for each term."""
        x = inputs[0]
        for term in self.terms:
            x = backend.add_plain(x, context.plain(term.constant, term.where, term.block))
        return [x]


class MultiplyPlain(msgspec.Struct, frozen=True, tag=True):
    """x * constant, rescaled to the nominal scale. Level l -> l - 1."""

    term: Term

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One product, one rescale."""
        plain = context.plain(self.term.constant, self.term.where, self.term.block)
        return [multiply_plain(backend, inputs[0], plain, context.scale)]


class PlainSum(msgspec.Struct, frozen=True, tag=True):
    """sum_i inputs[i] * terms[i], rescaled once. Level: one below the lowest input; scale: nominal."""

    terms: tuple[Term, ...]

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """len(terms) products, one rescale."""
        level = min(backend.level(x) for x in inputs)
        total: V | None = None
        for x, term in zip(inputs, self.terms, strict=True):
            x = backend.drop_to(x, level)
            plain = context.plain(term.constant, term.where, term.block)
            product = backend.mul_plain(x, plain, plain_scale(backend, x, context.scale))
            total = product if total is None else backend.add(total, product)
        assert total is not None
        return [backend.rescale(total)]
