"""Slot-wise operators on whole grids: what one ciphertext undergoes, for each of many."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import multiply, multiply_plain
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.long.layout import Array, GridLayout
from aegis_fhe.program.long.placement import Placement
from aegis_fhe.program.operators.arithmetic import Add, Multiply, Polynomial, Subtract
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class Each(msgspec.Struct, frozen=True, tag=True):
    """operator(x_a, y_a, ...) for every column a; inputs: x, then y, ..., each a whole grid or one value.

    shared: whether the last grid is one value that meets every column.
    """

    operator: Add | Subtract | Multiply | Polynomial
    columns: int
    shared: bool = False

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """`columns` times what the operator takes."""
        common = inputs[len(inputs) - self.shared :]
        grids = inputs[: len(inputs) - self.shared]
        starts = range(0, len(grids), self.columns)
        results: list[V] = []
        for a in range(self.columns):
            operands = [grids[start + a] for start in starts]
            results += self.operator.lower(backend, operands + common, context)
        return results


class WeightedProduct(msgspec.Struct, frozen=True, tag=True):
    """x_a * (factor * w_a) for every column a, w a vector over features; inputs: x, then factor.

    columns: some of them alone, all by default. Level: one below the lower of x and of factor less one; scale
    -> nominal, so that sums can follow.
    """

    weight: str
    placement: Placement
    columns: tuple[int, int] | None = None

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """A product with a plaintext and one with a ciphertext for each column."""
        *xs, factor = inputs
        vectors = _vectors(self.placement, context.constants[self.weight], self.columns)
        level = min(*(backend.level(x) for x in xs), backend.level(factor) - 1)
        results = []
        for x, vector in zip(xs, vectors, strict=True):
            scale = context.scale * backend.moduli[level] / backend.scale(x)
            weighted = multiply_plain(backend, factor, SlotVector(vector), scale)
            results.append(multiply(backend, backend.drop_to(x, level), backend.drop_to(weighted, level)))
        return results


class AddFeatures(msgspec.Struct, frozen=True, tag=True):
    """A grid, or some of its `columns`, plus a vector over features. Level and scale unchanged.

    layout: given, only the encrypted tokens of token block `block` get it, and the others stay zero.
    """

    bias: str
    placement: Placement
    layout: GridLayout | None = None
    block: int = 0
    columns: tuple[int, int] | None = None

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """An addition for each column."""
        vectors = _vectors(self.placement, context.constants[self.bias], self.columns)
        return [backend.add_plain(x, self._plain(v, context)) for x, v in zip(inputs, vectors, strict=True)]

    def _plain(self, vector: Array, context: Context) -> SlotVector:
        if self.layout is None:
            return SlotVector(vector)
        return self.layout.on_tokens(vector, self.block, context.tokens, public=context.public_tokens)


def _vectors(placement: Placement, vector: Array, columns: tuple[int, int] | None) -> list[Array]:
    """One period of each chosen column."""
    every = placement.vectors(vector)
    return every[slice(*columns)] if columns else every
