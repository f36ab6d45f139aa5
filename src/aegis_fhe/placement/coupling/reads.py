"""The tracing interpreter: of which inputs a value is made, and whether their contributions add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.placement.coupling.places import Place
from aegis_fhe.placement.coupling.signature import GRID_AXES

# Of each (role, axis): a set of indices, as bits.
Touched = tuple[int, ...]


@dataclass(unsafe_hash=True, slots=True)
class Traced(Symbol):
    """A symbol that knows its sources.

    reads: which inputs, as bits. touched: their indices, for each (role, axis). mixed: bits of those (role,
    axis) on which the value is no sum of contributions that take one index each.
    """

    reads: int = 0
    touched: Touched = ()
    mixed: int = 0

    def like(self, level: int, scale: float, components: int) -> Traced:
        """With its sources."""
        return replace(self, level=level, scale=scale, components=components)


class Tracing(SymbolicBackend):
    """The symbolic interpreter on `Traced` values: sums keep contributions apart, products mix them."""

    def inputs(self, symbols: Sequence[Symbol], where: Sequence[Place]) -> list[Traced]:
        """Values of an operator's inputs."""
        roles = dict.fromkeys(place.role for place in where)
        keys = [(role, axis) for role in roles for axis in GRID_AXES]
        return [
            Traced(
                symbol.level,
                symbol.scale,
                symbol.components,
                reads=1 << number,
                touched=tuple(1 << getattr(place, axis) if role == place.role else 0 for role, axis in keys),
            )
            for number, (symbol, place) in enumerate(zip(symbols, where, strict=True))
        ]

    def add(self, x: Symbol, y: Symbol) -> Symbol:
        """Contributions of both."""
        return _sum(super().add(x, y), [x, y])

    def mul_plain_sums(
        self, xs: Sequence[Symbol], rows: Sequence[Sequence[SlotVector | None]], scale: float
    ) -> list[Symbol]:
        """Contributions of those with a plaintext."""
        found = super().mul_plain_sums(xs, rows, scale)
        return [
            _sum(symbol, [x for x, plain in zip(xs, row, strict=True) if plain is not None])
            for symbol, row in zip(found, rows, strict=True)
        ]

    def sum(self, xs: Sequence[Symbol]) -> Symbol:
        """Contributions of all."""
        return _sum(super().sum(xs), xs)

    def linear_combination(
        self,
        xs: Sequence[Symbol],
        coefficients: Sequence[float],
        scale: float,
        *,
        constant: float = 0.0,
        onto: Symbol | None = None,
    ) -> Symbol:
        """Contributions of all terms, and of what they are added to."""
        found = super().linear_combination(xs, coefficients, scale, constant=constant, onto=onto)
        return _sum(found, xs if onto is None else [*xs, onto])

    def multiply_sum(self, xs: Sequence[Symbol], ys: Sequence[Symbol], onto: Symbol | None = None) -> Symbol:
        """Contributions of all products, and of what they are added to."""
        products = [_product(x, y) for x, y in zip(xs, ys, strict=True)]
        held = [] if onto is None else [onto]
        return _sum(super().multiply_sum(xs, ys, onto), [*products, *held])

    def rotate_sum(self, xs: Sequence[Symbol], steps: Sequence[int]) -> Symbol:
        """Contributions of all."""
        return _sum(super().rotate_sum(xs, steps), xs)


def _sum(found: Symbol, xs: Sequence[Symbol]) -> Traced:
    reads, mixed, touched = 0, 0, _traced(xs[0]).touched if xs else ()
    for x in map(_traced, xs):
        if x.reads & ~reads:
            touched = tuple(a | b for a, b in zip(touched, x.touched, strict=True))
        reads, mixed = reads | x.reads, mixed | x.mixed
    return Traced(found.level, found.scale, found.components, reads=reads, touched=touched, mixed=mixed)


def _product(x: Symbol, y: Symbol) -> Traced:
    """Mixed where both factors touch an axis, and together more than one of its indices."""
    a, b = _traced(x), _traced(y)
    mixed = a.mixed | b.mixed
    for bit, (mine, other) in enumerate(zip(a.touched, b.touched, strict=True)):
        if mine and other and (mine | other).bit_count() > 1:
            mixed |= 1 << bit
    touched = tuple(mine | other for mine, other in zip(a.touched, b.touched, strict=True))
    return replace(a, reads=a.reads | b.reads, touched=touched, mixed=mixed)


def _traced(x: Symbol) -> Traced:
    assert isinstance(x, Traced)
    return x
