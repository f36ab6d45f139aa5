"""Attention on the token-major layout: tokens of a key block are named by the columns of a zone.

The key or value (token t + x, column x) is first sheared into (t, x); both products then run over one cyclic
index r:

    scores(t, x) = sum_c q(t, c) k(t + x, c) = sum_r [0 <= x + r < C] q(t, x + r) * sheared_k(t - r, x + r)
    output(t, y) = sum_x p(t, x) v(t + x, y) = sum_r [0 <= y + r < C] p(t, y + r) * sheared_v(t + r, y)

with C = head_dim = tokens, -C < r < C: rotations by whole columns (times heads) and whole tokens (times
sub_slots). Rotations that leave a zone are masked, on whichever factor has a level to spare. A matrix product
in the manner of Jiang, Kim, Lauter, Song (CCS 2018), for all heads and zones of a ciphertext at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import multiply_plain, plain_scale
from aegis_fhe.circuits.rotations import RotationLadder
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")
T = TypeVar("T")

CHUNK = 8  # rotations alive at a time in sums over them


class Shear(msgspec.Struct, frozen=True, tag=True):
    """sheared(t, x) = x(t + x mod tokens, column x), zone 0. Level l -> l - 1, scale -> nominal."""

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """2 sqrt(head_dim) rotations by whole tokens."""
        layout, base = context.layout, context.layout.ladder_base
        column = np.arange(layout.head_dim)
        babies = backend.rotate_many(inputs[0], [j * layout.sub_slots for j in range(base)])
        # Masks depend on the sub-slot alone, so a rotation by whole tokens leaves them as they are.
        masks = [SlotVector(layout.columns((column == y)[:, None])) for y in column]
        rows = [masks[first : first + base] for first in range(0, layout.head_dim, base)]
        scale = plain_scale(backend, inputs[0], context.scale)
        inner = backend.mul_plain_sums(babies, rows, scale)
        steps = [base * i * layout.sub_slots for i in range(len(rows))]
        return [backend.rotate_sum_rescale(inner, steps)]


class Scores(msgspec.Struct, frozen=True, tag=True):
    """scores(t, z, x, h) = sum_c q(t, c, h) k_z(t + x, c, h).

    Inputs q (copied into every zone), sheared k (zone z: k_z). Level: two below q (a mask, a product) and at
    most one below k; scale q's * k's / prime. Zero outside the zones.
    """

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """Hoisted rotations of both factors, 2 head_dim - 1 masked products, one relinearisation."""
        q, k = inputs
        layout = context.layout
        level = min(backend.level(q) - 1, backend.level(k))
        q, k = backend.drop_to(q, level + 1), backend.drop_to(k, level)
        pairs = zip(
            _column_rotations(backend, q, layout), _diagonal_rotations(backend, k, layout), strict=True
        )

        def masked() -> Iterator[tuple[V, V]]:
            for (r, query), (_, key) in pairs:
                yield multiply_plain(backend, query, _inside(layout, r), context.scale), key

        (product,) = _sums(backend, masked(), lambda pairs: [_products(backend, pairs)])
        return [backend.relinearize_rescale(product)]


class Attend(msgspec.Struct, frozen=True, tag=True):
    """Inputs p (probabilities before division) and sheared v; outputs o and d_0 ... d_{zones-1}.

    o(t, z, y, h) = sum_x p(t, z, x, h) v_z(t + x, y, h); d_z(t, y, h) = weight * sum_x p(t, z, x, h) for
    every y, in zone z alone. Level: o one below p, d one below p; v needs one level more than p. Scale of d:
    nominal.
    """

    weight: float

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """Hoisted rotations of both factors, 2 head_dim - 1 masked products, one relinearisation."""
        p, v = inputs
        layout = context.layout
        level = min(backend.level(p), backend.level(v) - 1)
        p, v = backend.drop_to(p, level), backend.drop_to(v, level + 1)
        ladder = RotationLadder(
            coarse_unit=layout.ladder_base * layout.sub_slots,
            fine_unit=layout.sub_slots,
            base=layout.ladder_base,
        )
        by_token = dict(ladder.rotations(backend, v, range(layout.tokens)))
        zones = [self.weight * layout.columns(np.ones((1, 1)), zone) for zone in range(layout.zones)]
        scale = plain_scale(backend, p, context.scale)

        def masked() -> Iterator[tuple[V, V, SlotVector]]:
            for r, probability in _column_rotations(backend, p, layout):
                inside = _inside(layout, r)
                value = multiply_plain(backend, by_token[r % layout.tokens], inside, context.scale)
                yield probability, value, inside

        def partial(terms: Sequence[tuple[V, V, SlotVector]]) -> list[V]:
            rows = [[SlotVector(inside.values * zone) for _, _, inside in terms] for zone in zones]
            denominators = backend.mul_plain_sums([x for x, _, _ in terms], rows, scale)
            return [_products(backend, [(x, y) for x, y, _ in terms]), *denominators]

        output, *denominators = _sums(backend, masked(), partial)
        return [backend.relinearize_rescale(output), *(backend.rescale(d) for d in denominators)]


def _inside(layout: TokenMajorLayout, r: int) -> SlotVector:
    """1 where column x + r lies in the same zone, for every zone."""
    x = np.arange(layout.head_dim)
    table = ((x + r >= 0) & (x + r < layout.head_dim))[:, None].astype(np.float64)
    return SlotVector(np.sum([layout.columns(table, z) for z in range(layout.zones)], axis=0))


def _column_rotations(backend: Backend[V], x: V, layout: TokenMajorLayout) -> Iterator[tuple[int, V]]:
    """(r, rot(x, r * heads)) for -head_dim < r < head_dim."""
    ladder = RotationLadder(coarse_unit=layout.giant, fine_unit=layout.heads, base=layout.ladder_base)
    return ladder.rotations(backend, x, range(1 - layout.head_dim, layout.head_dim))


def _diagonal_rotations(backend: Backend[V], x: V, layout: TokenMajorLayout) -> Iterator[tuple[int, V]]:
    """(r, rot(x, r * (heads - sub_slots))): r columns forward, r tokens back.

    The coarse step takes two rotations, by tokens and by columns, whose keys exist already.
    """
    base, unit = layout.ladder_base, layout.heads - layout.sub_slots
    indices = range(1 - layout.head_dim, layout.head_dim)
    tokens = sorted({-base * (r // base) % layout.tokens for r in indices})
    by_token = dict(zip(tokens, backend.rotate_many(x, [t * layout.sub_slots for t in tokens]), strict=True))
    for a in sorted({r // base for r in indices}):
        coarse = backend.rotate(by_token[-base * a % layout.tokens], a * layout.giant)
        fine = [b for b in range(base) if abs(a * base + b) < layout.head_dim]
        for b, value in zip(fine, backend.rotate_many(coarse, [b * unit for b in fine]), strict=True):
            yield a * base + b, value


def _products(backend: Backend[V], pairs: Sequence[tuple[V, V]]) -> V:
    """sum_i x_i y_i, three components."""
    return backend.multiply_sum([x for x, _ in pairs], [y for _, y in pairs])


def _sums(backend: Backend[V], terms: Iterator[T], partial: Callable[[Sequence[T]], list[V]]) -> list[V]:
    """The sums that `partial` makes of CHUNK terms at a time, added up; no more terms are alive at once."""
    totals: list[V] = []
    held: list[T] = []

    def flush() -> None:
        nonlocal totals
        sums = partial(held)
        held.clear()
        totals = [backend.add(x, y) for x, y in zip(totals, sums, strict=True)] if totals else sums

    for term in terms:
        held.append(term)
        del term  # or the last one would stay alive
        if len(held) == CHUNK:
            flush()
    if held:
        flush()
    return totals
