"""A product with a matrix in steps: terms of some columns in after those of others, then their sums.

Terms of columns that a device has itself need no other's babies: they are computed while those are on their
way. Sums are exact modulo each prime, so the result is that of `MatrixProduct`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

import msgspec

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.long.placement import Placement
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class ProductTerms(msgspec.Struct, frozen=True, tag=True):
    """Inner sums sum_{a,j} w rot(x_a, j) of `product` over some columns in, added to those before.

    Inputs: babies, [column in][j], then the sums so far. Outputs: [column out][giant step], those giant steps
    alone that some column so far reaches. product: all of a part's, turned; columns, before: whose terms they
    are, and whose the sums so far have. All columns in are of one level. Level unchanged but for the target's
    `below`, scale that of a product.
    """

    product: MatrixProduct
    columns: tuple[int, ...]
    before: tuple[int, ...] = ()

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """Products and sums alone."""
        count = len(self.columns) * self.product.baby
        held, results = iter(inputs[count:]), list[V]()
        for terms in self.product.by_target(backend, inputs[:count], context):
            for few in self.product.together(terms.index, self.columns):
                sums = self.product.inner_sums(backend, terms, few, self.columns)
                for o in few:
                    own = sums.pop(0)
                    before = {i: next(held) for i in self.product.giants(terms.index, o, self.before)}
                    found = [[x[i] for x in (before, own) if i in x] for i in sorted({*before, *own})]
                    results += [backend.sum(both) for both in found]
        return results

    def alike(self, context: Context) -> Hashable:
        """What decides its operations and levels: see `KnownNodes`."""
        whole = self.product.alike(context)
        return ProductTerms, whole, self.product.used(self.columns), self.product.used(self.before)

    @property
    def source(self) -> Placement:
        """Of the product."""
        return self.product.source

    @property
    def reached(self) -> tuple[int, ...]:
        """Columns in whose terms the results have."""
        return tuple(sorted({*self.columns, *self.before}))

    @property
    def sums(self) -> int:
        """How many results."""
        return sum(len(self.product.giants(*place, self.reached)) for place in self.product.places())

    def encoded(self) -> int:
        """As `MatrixProduct.encoded`."""
        return self.product.encoded(self.columns)


class ProductSums(msgspec.Struct, frozen=True, tag=True):
    """y_o = sum_i rot(inner sum, b i) + bias, rescaled, of `product`, from `ProductTerms` of all columns in.

    Level l -> l - 1, scale -> nominal.
    """

    product: MatrixProduct

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """One rotation for each giant step but 0."""
        product, terms, results = self.product, iter(inputs), list[V]()
        for index in range(len(product.targets)):
            columns = [
                product.turned_sum(
                    backend, {i: next(terms) for i in product.giants(index, o, product.columns_in)}
                )
                for o in product.chosen(index)
            ]
            results += product.biased(backend, columns, index, context)
        return results

    def alike(self, context: Context) -> Hashable:
        """What decides its operations and levels: see `KnownNodes`."""
        return ProductSums, self.product.alike(context)
