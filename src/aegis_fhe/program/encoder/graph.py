"""A whole encoder as a graph on token blocks, refreshed where the next stretch would run out of levels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aegis_fhe.program.attention_layer import AttentionLayer, window_steps
from aegis_fhe.program.encoder.constants import PARTS
from aegis_fhe.program.encoder.fits import EncoderLayerFits
from aegis_fhe.program.encoder.pooled import PooledFits, pooled_nodes
from aegis_fhe.program.graph import Graph, GraphBuilder
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.operators import (
    Add,
    AddPlain,
    ComplexParts,
    Input,
    Multiply,
    MultiplyI,
    MultiplyPlain,
    PlainSum,
    Polynomial,
    Project,
    Refresh,
    RotateSum,
    SumOfRotations,
)
from aegis_fhe.program.operators.plain import Term
from aegis_fhe.program.prune import prune
from aegis_fhe.program.returns import HiddenStates, TokenMean
from aegis_fhe.program.selection import Where

_KINDS: dict[str, Where] = {"opening": "opening token", "inner": "inner tokens", "closing": "closing token"}


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """What the graph needs of a layer besides its constants."""

    fits: EncoderLayerFits
    anchored: bool
    groups: int


class EncoderGraph:
    """Builds the graph of an encoder for `blocks` token blocks.

    fresh: level of inputs and of refreshed values; lowest: the level at which a value can still be refreshed.
    """

    def __init__(
        self, layout: TokenMajorLayout, blocks: int, layers: Sequence[LayerShape], *, fresh: int, lowest: int
    ) -> None:
        self.layout, self.blocks, self.layers = layout, blocks, list(layers)
        self.fresh, self.lowest = fresh, lowest
        self.b, self.level = GraphBuilder(), fresh

    def graph(self, head: HiddenStates | TokenMean | PooledFits) -> Graph:
        """The encoder with its head, and without what that does not need."""
        self.b.stage = "project"
        x = self._each("x", Input(self.fresh), [() for _ in range(self.blocks)])
        for index, layer in enumerate(self.layers):
            self.b.prefix = f"{index}."
            x = self._layer(layer, x)
        return prune(self.b.build(tuple(self._head(head, x))))

    def _head(self, head: HiddenStates | TokenMean | PooledFits, x: list[str]) -> list[str]:
        self.b.prefix = ""
        match head:
            case HiddenStates():
                return x
            case TokenMean():
                return self._mean(x)
            case PooledFits():
                (first,) = self._ready("first.fresh", x[:1], head.depth, lowest=0)
                return [pooled_nodes(self.b, self.layout, head, first)]

    def _layer(self, layer: LayerShape, x: list[str]) -> list[str]:
        fits = layer.fits
        attention = AttentionLayer(
            self.layout, self.blocks, fits.attention, anchored=layer.anchored, prefix=self.b.prefix
        )
        x = self._ready("x.fresh", x, fits.sums_depth)
        numerators, denominators = attention.sums(self.b, x)
        attended = self._divide(attention, fits, numerators, denominators)
        z = attention.residual(self.b, x, attended, self.level)
        z = self._ready("z.fresh", z, fits.first_norm_depth)
        y = attention.norm(self.b, z)
        self._spend(fits.first_norm_depth)
        y = self._ready("y.fresh", y, fits.feed_forward_depth)
        second = self._feed_forward(layer, y)
        second = self._ready("second.fresh", second, fits.norm.depth)
        return self._norm(layer, second)

    def _ready(self, name: str, values: list[str], depth: int, *, lowest: int | None = None) -> list[str]:
        """The values, refreshed if `depth` levels more would end below the lowest one.

        lowest: by default the level at which they can be refreshed again.
        """
        if self.level - depth >= (self.lowest if lowest is None else lowest):
            return values
        return self._refresh(name, values)

    def _refresh(self, name: str, values: list[str]) -> list[str]:
        """Two blocks in one bootstrap, as its real and its imaginary part."""
        self.b.stage, self.level = "refresh", self.fresh
        fresh: list[str] = []
        for p in range(0, len(values), 2):
            pair = tuple(values[p : p + 2])
            fresh += self.b.many((name, f"{name}.partner")[: len(pair)], Refresh(), p, pair)
        return fresh

    def _spend(self, depth: int) -> None:
        self.level -= depth

    def _divide(
        self,
        attention: AttentionLayer,
        fits: EncoderLayerFits,
        numerators: list[str],
        denominators: list[str],
    ) -> list[str]:
        """The two sums refreshed together, the denominators in zone 1, and divided."""
        b, width = self.b, self.layout.width
        b.stage = "pack"
        packed = []
        for p, (o, d) in enumerate(zip(numerators, denominators, strict=True)):
            u = attention.normalised_denominator(b, p, d)
            moved = b.one("d.moved", RotateSum((-width,)), p, u)
            masked = b.one("o.masked", MultiplyPlain((self._term("zone_0"),)), p, o)
            packed.append(b.one("sums", Add(), p, masked, moved))
        fresh = self._refresh("sums.fresh", packed)
        b.stage = "divide"
        attended = []
        for p, value in enumerate(fresh):
            alone = b.one("d.alone", MultiplyPlain((self._term("zone_1"),)), p, value)
            u = b.one("d.back", RotateSum((width,)), p, alone)
            d = b.one("d.fresh", AddPlain((self._term("denominator.less_offset"),)), p, u)
            attended.append(attention.divide(b, p, value, d, u))
        self._spend(fits.division_depth)
        return attended

    def _feed_forward(self, layer: LayerShape, y: list[str]) -> list[str]:
        """residual_scale * (y + W_2 GELU(W_1 y + b_1) + b_2) less its mean, in zone 0; rests elsewhere."""
        b, width, groups = self.b, self.layout.width, range(layer.groups)
        self._spend(layer.fits.feed_forward_depth)
        b.stage = "expand"
        hidden = []
        for p, value in enumerate(y):
            copies = b.one("y.copied", RotateSum((0, -width)), p, value)
            hidden.append([self._hidden(layer, p, g, copies) for g in groups])
        b.stage = "contract"
        return [
            self._contract(p, value, units) for p, (value, units) in enumerate(zip(y, hidden, strict=True))
        ]

    def _contract(self, p: int, y: str, hidden: list[str]) -> str:
        """One block's second sum, from its activations."""
        b, width = self.b, self.layout.width
        products = [b.one(f"contract{g}", self._project("contract", g), p, h) for g, h in enumerate(hidden)]
        product = b.one("contract", Add(), p, *products) if len(products) > 1 else products[0]
        folded = b.one("contract.folded", RotateSum((0, width)), p, product)
        real, _ = b.many(("contract.real", "contract.imaginary"), ComplexParts(), p, (folded,))
        output = b.one("contract.biased", AddPlain((self._term("second.bias"),)), p, real)
        total = b.one("y.sum", SumOfRotations(window_steps(self.layout), self.level + 1), p, y)
        parts = PlainSum((self._term("second.one"), self._term("second.mean")))
        return b.one("second", Add(), p, output, b.one("y.centred", parts, p, y, total))

    def _hidden(self, layer: LayerShape, p: int, g: int, copies: str) -> str:
        """The activations of one group, two zones of two parts."""
        b = self.b
        projected = b.one(f"expand{g}", self._project("expand", g), p, copies)
        names = (f"expand{g}.real", f"expand{g}.imaginary")
        activated = []
        for part, value in enumerate(b.many(names, ComplexParts(), p, (projected,))):
            terms = tuple(self._term(f"expand{PARTS * g + 2 * zone + part}.bias") for zone in range(2))
            biased = b.one(f"hidden{g}.{part}", AddPlain(terms), p, value)
            activated.append(b.one(f"gelu{g}.{part}", Polynomial.of(layer.fits.activation), p, biased))
        imaginary = b.one(f"gelu{g}.turned", MultiplyI(), p, activated[1])
        return b.one(f"gelu{g}", Add(), p, activated[0], imaginary)

    def _norm(self, layer: LayerShape, second: list[str]) -> list[str]:
        """LayerNorm of the second sum over the next layer's bound; zero on padding, and on kinds without a
        factor.
        """
        b, fit = self.b, layer.fits.norm
        kept: Where = "real tokens" if len(fit.factors) > 1 else "opening token"
        b.stage = "norm"
        results = []
        for p, value in enumerate(second):
            scaled = b.one("w", MultiplyPlain(self._by_kind("second.factor", fit.factors, p)), p, value)
            square = b.one("w.squared", Multiply(), p, scaled)
            variance = b.one("w.variance", SumOfRotations(window_steps(self.layout)), p, square)
            shift = AddPlain((self._term("second.floor"), *self._by_kind("second.variance", fit.factors, p)))
            u = b.one("w.variance.normalised", shift, p, variance)
            root = b.one("w.inverse_sqrt", Polynomial.of(fit.series), p, u)
            weighted = b.one("w.weighted", MultiplyPlain((self._term("second.weight"),)), p, scaled)
            normalised = b.one("w.normalised", Multiply(), p, weighted, root)
            bias = AddPlain((self._term("second.shift", kept, p),))
            results.append(b.one("output.hidden", bias, p, normalised))
        self._spend(fit.depth)
        return results

    def _mean(self, x: list[str]) -> list[str]:
        """The sum over all tokens of all blocks."""
        self.b.stage, layout = "pool", self.layout
        steps = tuple(layout.sub_slots << i for i in range(int(math.log2(layout.tokens))))
        sums = [self.b.one("tokens.sum", SumOfRotations(steps), p, value) for p, value in enumerate(x)]
        self.b.stage = "text"
        return [self.b.one("text.sum", Add(), 0, *sums)] if len(sums) > 1 else sums

    def _project(self, name: str, group: int) -> Project:
        first = PARTS * group
        return Project(
            tuple(
                tuple(f"{self.b.prefix}{name}{first + 2 * z + part}" for part in range(2)) for z in range(2)
            )
        )

    def _by_kind(self, name: str, kinds: Iterable[str], block: int) -> tuple[Term, ...]:
        """A constant of each kind of token, on its tokens of the block."""
        return tuple(self._term(f"{name}.{kind}", _KINDS[kind], block) for kind in kinds)

    def _term(self, constant: str, where: Where = "everywhere", block: int = 0) -> Term:
        return Term(self.b.prefix + constant, where, block)

    def _each(self, name: str, operator: Input, inputs: Sequence[tuple[str, ...]]) -> list[str]:
        return [self.b.one(name, operator, p, *values) for p, values in enumerate(inputs)]
