"""One encrypted self-attention sub-layer, written once as a graph on token blocks.

Blocks p hold the query tokens; key blocks are folded, `zones` at a time, into one ciphertext (key group g):
keys as its real and its imaginary part, values side by side. A value crosses from one block to another in two
places alone: the previous token's key, and the folded keys and values.
"""

from __future__ import annotations

import math

from aegis_fhe.program.attention_fits import AttentionFits
from aegis_fhe.program.graph import Graph, GraphBuilder
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.operators import (
    Add,
    AddPlain,
    AddScalar,
    Attend,
    ComplexParts,
    Input,
    Multiply,
    MultiplyI,
    MultiplyPlain,
    PlainSum,
    Polynomial,
    Project,
    RotateSum,
    ScalarMinus,
    Scores,
    Shear,
    Subtract,
    SumOfRotations,
)
from aegis_fhe.program.operators.plain import Term
from aegis_fhe.program.selection import Where

# Key blocks of one group at most: a number has two parts, and two zones are sure to fit.
KEY_BLOCKS = 2


class AttentionLayer:
    """Builds the graph for `blocks` token blocks. anchored: does any head look at the previous token?

    prefix: of the names of the layer's constants.
    """

    def __init__(
        self, layout: TokenMajorLayout, blocks: int, fits: AttentionFits, *, anchored: bool, prefix: str = ""
    ) -> None:
        self.layout, self.blocks, self.fits, self.anchored = layout, blocks, fits, anchored
        self.prefix = prefix
        self.groups = math.ceil(blocks / layout.zones)

    def graph(self, level: int) -> Graph:
        """The sub-layer on inputs at `level`."""
        b = GraphBuilder()
        blocks = range(self.blocks)
        x = self._inputs(b, level)
        numerators, denominators = self.sums(b, x)
        b.stage = "divide"
        attended = []
        for p, (o, d) in enumerate(zip(numerators, denominators, strict=True)):
            u = self.normalised_denominator(b, p, d)
            attended.append(self.divide(b, p, o, d, u))
        z = self.residual(b, x, attended, self.fits.residual_level)
        results = self.norm(b, z)
        return b.build(tuple(results[p] for p in blocks))

    def sums(self, b: GraphBuilder, x: list[str]) -> tuple[list[str], list[str]]:
        """sum_j p_ij v_j and slope * sum_j p_ij of every block, the latter in every column of zone 0."""
        b.stage = "project"
        q, kv = self._project(b, x)
        placed_keys, placed_values = self._place(b, kv)
        moved = self._previous_token(b, kv) if self.anchored else []
        b.stage = "exchange"
        keys, values = self._fold(b, placed_keys, "keys"), self._fold(b, placed_values, "values")
        previous = self._previous_keys(b, kv, moved) if self.anchored else []
        anchors = self._anchor(b, q, previous) if self.anchored else None
        scores = self._scores(b, q, keys, anchors)
        return self._attend(b, self._exponential(b, scores), values)

    def _term(
        self, constant: str, where: Where = "everywhere", block: int = 0, queries: int | None = None
    ) -> Term:
        return Term(self.prefix + constant, where, block, queries)

    def _inputs(self, b: GraphBuilder, level: int) -> list[str]:
        b.stage = "project"
        return [b.one("x", Input(level), p) for p in range(self.blocks)]

    def _project(self, b: GraphBuilder, x: list[str]) -> tuple[list[str], list[str]]:
        """(Q in zones 0 and 1) and (K in zone 0, V in zone 1) of every block; zero on padding.

        Together one transform of x: Q is its real part, K and V its imaginary part.
        """
        copies = RotateSum((0, -self.layout.width))
        q_k, q_v = (
            tuple(self.prefix + w for w in ("query.weight", other))
            for other in ("key.weight", "value.weight")
        )
        weights = Project((q_k, q_v))
        q, kv = [], []
        for p, value in enumerate(x):
            projected = b.one("qkv", weights, p, b.one("x.copied", copies, p, value))
            real, imaginary = b.many(("q0", "kv0"), ComplexParts(), p, (projected,))
            q.append(b.one("q", AddPlain((self._term("query.bias", "real tokens", p),)), p, real))
            kv.append(b.one("kv", AddPlain((self._term("key_value.bias", "real tokens", p),)), p, imaginary))
        return q, kv

    def _place(self, b: GraphBuilder, kv: list[str]) -> tuple[list[str], list[str]]:
        """Keys and values of every block, sheared, as their group takes them.

        Keys of the group's second block become imaginary; all lie in zones 0 and 1. Values move to their
        block's zone.
        """
        width, keys, values = self.layout.width, [], []
        for p, value in enumerate(kv):
            zone = p % self.layout.zones
            key, value = b.many(("keys.sheared", "values.sheared"), Shear((0, 1)), p, (value,))
            key = b.one("keys.imaginary", MultiplyI(), p, key) if zone else key
            keys.append(b.one("keys.placed", RotateSum((0, -width)), p, key))
            values.append(value if zone else b.one("values.placed", RotateSum((width,)), p, value))
        return keys, values

    def _fold(self, b: GraphBuilder, placed: list[str], name: str) -> list[list[str]]:
        """[block][group]: the blocks of a group added up.

        Every device folds for itself: an addition is cheaper than a second exchange.
        """
        zones = self.layout.zones
        members = [placed[g * zones : (g + 1) * zones] for g in range(self.groups)]
        return [
            [b.one(f"{name}.group{g}", Add(), p, *parts) for g, parts in enumerate(members)]
            for p in range(self.blocks)
        ]

    def _previous_token(self, b: GraphBuilder, kv: list[str]) -> list[str]:
        """Keys moved by one token, cyclically inside the block."""
        step = -self.layout.sub_slots
        return [b.one("k.moved", RotateSum((step,)), p, value) for p, value in enumerate(kv)]

    def _previous_keys(self, b: GraphBuilder, kv: list[str], moved: list[str]) -> list[str]:
        """anchor_h k_{i-1}: a block's first token looks into the block before, the text's at itself.

        The offset that K lacks is put back, or it would cancel in the scores of anchored heads.
        """
        first = [kv[0], *moved[:-1]]
        terms = (self._term("anchor", "later tokens"), self._term("anchor", "first token"))
        offset = AddPlain((self._term("anchor.offset"),))
        return [
            b.one("k.anchor", offset, p, b.one("k.previous", PlainSum(terms), p, later, earlier))
            for p, (later, earlier) in enumerate(zip(moved, first, strict=True))
        ]

    def _anchor(self, b: GraphBuilder, q: list[str], previous: list[str]) -> list[str]:
        """anchor_h q_i . k_{i-1} in every column of zone 0 (other zones hold rests, masked later)."""
        layout = self.layout
        b.stage = "scores"
        steps = [layout.heads * 2**i for i in range(int(math.log2(layout.head_dim)))]
        anchors = []
        for p in range(self.blocks):
            product = b.one("anchor.product", Multiply(), p, q[p], previous[p])
            anchors.append(b.one("anchor.sum", SumOfRotations((*steps, -layout.width)), p, product))
        return anchors

    def _scores(
        self, b: GraphBuilder, q: list[str], keys: list[list[str]], anchors: list[str] | None
    ) -> list[list[str]]:
        """Normalised scores u in [-1, 1]; padding and unused slots at -1, where exp vanishes."""
        b.stage = "scores"
        scores: list[list[str]] = []
        for p in range(self.blocks):
            anchor = self._anchor_of_group(b, p, anchors[p]) if anchors is not None else ""
            row = []
            for g in range(self.groups):
                s = b.one(f"scores.group{g}", Scores(), p, q[p], keys[p][g])
                if anchor:
                    s = b.one(f"scores.relative{g}", Subtract(), p, s, anchor)
                first = g * self.layout.zones
                shift = AddPlain(
                    (
                        self._term("score.shift", "real keys", first, p),
                        self._term("score.floor", "other keys", first, p),
                    )
                )
                row.append(b.one(f"u.group{g}", shift, p, self._zones_of_scores(b, p, g, s)))
            scores.append(row)
        return scores

    def _anchor_of_group(self, b: GraphBuilder, p: int, anchor: str) -> str:
        """The anchor for every key block of a group: (1 + i) a for two."""
        if self.layout.zones == 1:
            return anchor
        return b.one("anchor.group", Add(), p, anchor, b.one("anchor.imaginary", MultiplyI(), p, anchor))

    def _zones_of_scores(self, b: GraphBuilder, p: int, g: int, scores: str) -> str:
        """The scores of key block z in zone z, zero on padding keys and outside the zones."""
        zones, width = self.layout.zones, self.layout.width
        names = (f"scores.group{g}.real", f"scores.group{g}.imaginary")
        parts = b.many(names, ComplexParts(), p, (scores,)) if zones > 1 else [scores]
        masks = [
            MultiplyPlain((self._term("score.part", "real keys", g * zones + z, p),)) for z in range(zones)
        ]
        masked = [
            b.one(f"scores.group{g}.zone{z}", mask, p, part)
            for z, (mask, part) in enumerate(zip(masks, parts, strict=True))
        ]
        if zones == 1:
            return masked[0]
        return b.one(f"scores.group{g}.placed", RotateSum((0, -width)), p, *masked)

    def _exponential(self, b: GraphBuilder, scores: list[list[str]]) -> list[list[str]]:
        """exp(s' - high), by a polynomial and squarings."""
        b.stage = "softmax"
        probabilities: list[list[str]] = []
        for p, row in enumerate(scores):
            out = []
            for g, u in enumerate(row):
                value = b.one(f"exp.group{g}", Polynomial.of(self.fits.exp), p, u)
                for i in range(self.fits.squarings):
                    value = b.one(f"exp.group{g}.squared{i + 1}", Multiply(), p, value)
                out.append(value)
            probabilities.append(out)
        return probabilities

    def _attend(
        self, b: GraphBuilder, probabilities: list[list[str]], values: list[list[str]]
    ) -> tuple[list[str], list[str]]:
        layout, zones = self.layout, range(self.layout.zones)
        fold = RotateSum(tuple(z * layout.width for z in zones))
        b.stage = "values"
        numerators, denominators = [], []
        for p, row in enumerate(probabilities):
            outputs, totals = [], []
            for g, value in enumerate(row):
                names = (f"o.group{g}", *(f"d.group{g}.zone{z}" for z in zones))
                o, *d = b.many(names, Attend(self.fits.reciprocal.slope), p, (value, values[p][g]))
                outputs.append(b.one(f"o.group{g}.folded", fold, p, o) if layout.zones > 1 else o)
                totals.append(b.one(f"d.group{g}", fold, p, *d) if layout.zones > 1 else d[0])
            numerators.append(b.one("o", Add(), p, *outputs))
            denominators.append(b.one("d", Add(), p, *totals))
        return numerators, denominators

    def normalised_denominator(self, b: GraphBuilder, p: int, denominator: str) -> str:
        """slope * d + offset, in [-1, 1]; 0 on padding, whose d is 0."""
        offset = AddPlain((self._term("denominator.offset", "real tokens", p),))
        return b.one("d.normalised", offset, p, denominator)

    def divide(self, b: GraphBuilder, p: int, numerator: str, denominator: str, u: str) -> str:
        """numerator * y (1 + e) (1 + e^2), y ~ 1 / d from the normalised d, e = 1 - d y: the error is e^4."""
        y = b.one(
            "reciprocal", Polynomial.of(self.fits.reciprocal.scaled(1 / self.fits.reciprocal.slope)), p, u
        )
        e = b.one("e", ScalarMinus(1.0), p, b.one("d.y", Multiply(), p, denominator, y))
        rough = b.one("o.y", Multiply(), p, numerator, y)
        better = b.one("o.newton1", Multiply(), p, rough, b.one("e.plus1", AddScalar(1.0), p, e))
        square = b.one("e.squared", Multiply(), p, e)
        return b.one("attention", Multiply(), p, better, b.one("e.squared.plus1", AddScalar(1.0), p, square))

    def residual(self, b: GraphBuilder, x: list[str], attended: list[str], level: int) -> list[str]:
        """norm_scale * (x + attention W_O + b_O) at `level`, its mean over the features removed."""
        window = window_steps(self.layout)
        b.stage = "output"
        sums = []
        for p, value in enumerate(attended):
            projected = b.one("output.product", Project(((self.prefix + "output.weight",),)), p, value)
            output = b.one("output", AddPlain((self._term("output.bias", "real tokens", p),)), p, projected)
            total = b.one("x.sum", SumOfRotations(window, level + 1), p, x[p])
            centred = b.one(
                "x.centred", PlainSum((self._term("centre.one"), self._term("centre.mean"))), p, x[p], total
            )
            sums.append(b.one("z", Add(), p, output, centred))
        return sums

    def norm(self, b: GraphBuilder, z: list[str]) -> list[str]:
        """z / sqrt(variance + eps) * weight + bias."""
        b.stage = "norm"
        results = []
        for p, value in enumerate(z):
            square = b.one("z.squared", Multiply(), p, value)
            variance = b.one("variance", SumOfRotations(window_steps(self.layout)), p, square)
            shift = AddPlain((self._term("variance.floor"), self._term("variance.real", "real tokens", p)))
            u = b.one("variance.normalised", shift, p, variance)
            root = b.one("inverse_sqrt", Polynomial.of(self.fits.inverse_sqrt), p, u)
            weighted = b.one("z.weighted", MultiplyPlain((self._term("norm.weight"),)), p, value)
            normalised = b.one("z.normalised", Multiply(), p, weighted, root)
            results.append(b.one("y", AddPlain((self._term("norm.bias"),)), p, normalised))
        return results


def window_steps(layout: TokenMajorLayout) -> tuple[int, ...]:
    """Steps of the sum over a window of `sub_slots` slots around each: one token's features, unmasked."""
    half = layout.sub_slots // 2
    return (*(2**i for i in range(int(math.log2(half)))), -half)
