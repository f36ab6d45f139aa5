"""Attention on the token-major layout: tokens of a key block are named by the columns of a zone.

The key or value (token t + x, column x) is first sheared into (t, x). Both products then run over one index:

    scores(t, x) = sum_c q(t, c) k(t + x, c) = sum_r q(t, x + r) * sheared_k(t - r, x + r)
    output(t, y) = sum_x p(t, x) v(t + x, y) = sum_r [0 <= y + r < C] p(t, y + r) * sheared_v(t + r, y)

with C = head_dim = tokens: rotations by whole columns (times heads) and whole tokens (times sub_slots). In
the scores 0 <= r < C and columns count mod C: both factors lie there twice, side by side. In the output
-C < r < C, and rotations that leave a zone are masked. Matrix products in the manner of Jiang, Kim, Lauter,
Song (CCS 2018), for all heads of a ciphertext at once, and for two key blocks: the parts of a complex score,
two zones of p and v.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import multiply_plain, plain_scale
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")
T = TypeVar("T")

CHUNK = 8  # rotations alive at a time in sums over them


class Shear(msgspec.Struct, frozen=True, tag=True):
    """sheared(t, x) = x(t + x mod tokens, column x); an output for each zone, zero outside it.

    Level l -> l - 1, scale -> nominal.
    """

    zones: tuple[int, ...]

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """sqrt(head_dim) rotations by whole tokens, and as many for each zone."""
        layout, base = context.layout, context.layout.ladder_base
        column = np.arange(layout.head_dim)
        babies = backend.rotate_many(inputs[0], [j * layout.sub_slots for j in range(base)])
        scale = plain_scale(backend, inputs[0], context.scale)
        sheared = []
        for zone in self.zones:
            # Masks depend on the sub-slot alone, so a rotation by whole tokens leaves them as they are.
            masks = [SlotVector(layout.columns((column == y)[:, None], zone)) for y in column]
            rows = [masks[first : first + base] for first in range(0, layout.head_dim, base)]
            inner = backend.mul_plain_sums(babies, rows, scale)
            sheared.append(layout.coarse_token_ladder.sum_rescale(backend, dict(enumerate(inner))))
        return sheared


class Scores(msgspec.Struct, frozen=True, tag=True):
    """scores(t, x, h) = sum_c q(t, c, h) k(t + x, c, h) in zone 0; elsewhere rests, masked later.

    Inputs q and sheared k, both copied into zones 0 and 1; real or complex. Level: one below the lower; scale
    q's * k's / prime.
    """

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """Hoisted rotations of both factors, head_dim products, one relinearisation."""
        layout, level = context.layout, min(backend.level(x) for x in inputs)
        q, k = (backend.drop_to(x, level) for x in inputs)
        queries = layout.column_ladder.rotations(backend, q, range(layout.head_dim))
        keys = _diagonal_rotations(backend, k, layout)
        pairs = ((query, key) for (_, query), key in zip(queries, keys, strict=True))
        (product,) = _sums(backend, pairs, lambda terms: [_products(backend, terms)])
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
        by_token = dict(layout.token_ladder.rotations(backend, v, range(layout.tokens)))
        zones = [self.weight * layout.columns(np.ones((1, 1)), zone) for zone in range(layout.zones)]
        scale = plain_scale(backend, p, context.scale)
        columns = range(1 - layout.head_dim, layout.head_dim)

        def masked() -> Iterator[tuple[V, V, SlotVector]]:
            for r, probability in layout.column_ladder.rotations(backend, p, columns):
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


def _diagonal_rotations(backend: Backend[V], x: V, layout: TokenMajorLayout) -> Iterator[V]:
    """rot(x, r * (heads - sub_slots)) for 0 <= r < head_dim: r columns forward, r tokens back."""
    base, unit = layout.ladder_base, layout.heads - layout.sub_slots
    for first in range(0, layout.head_dim, base):
        x = backend.rotate(x, base * unit) if first else x
        yield from backend.rotate_many(x, [b * unit for b in range(base)])


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
