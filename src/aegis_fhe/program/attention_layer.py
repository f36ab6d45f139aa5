"""One encrypted self-attention sub-layer, written once as a graph on token blocks.

Blocks p hold the query tokens; key blocks are folded, `zones` at a time, into one ciphertext (key group g). A
value crosses from one block to another in two places alone: the previous token's key, and the folded keys and
values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.chebyshev import ChebyshevSeries
from aegis_fhe.circuits.exponential import fit_exponential
from aegis_fhe.circuits.inverse_sqrt import fit_inverse_sqrt
from aegis_fhe.circuits.polynomial import polynomial_depth
from aegis_fhe.circuits.reciprocal import fit_reciprocal
from aegis_fhe.program.capture import AttentionSubLayer
from aegis_fhe.program.graph import Graph, GraphBuilder
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.operators import (
    Add,
    AddPlain,
    AddScalar,
    Attend,
    Input,
    Multiply,
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
from aegis_fhe.program.ranges import AttentionRanges

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Approximations:
    """Degrees of the fits; the depth of the sub-layer follows from them."""

    exponential_degree: int = 31
    exponential_squarings: int = 2
    reciprocal_degree: int = 63
    inverse_sqrt_degree: int = 31


class AttentionLayer:
    """Builds the graph and its constants for `blocks` token blocks."""

    def __init__(
        self,
        layer: AttentionSubLayer,
        ranges: AttentionRanges,
        layout: TokenMajorLayout,
        blocks: int,
        approximations: Approximations,
    ) -> None:
        self.layer, self.ranges, self.layout, self.blocks = layer, ranges, layout, blocks
        self.groups = math.ceil(blocks / layout.zones)
        a, r = approximations, ranges
        self.squarings = a.exponential_squarings
        self.exp = fit_exponential(
            r.score.low, r.score.high, degree=a.exponential_degree, squarings=a.exponential_squarings
        )
        self.reciprocal = fit_reciprocal(r.denominator.low, r.denominator.high, degree=a.reciprocal_degree)
        # The sums of squares outside the features mix two tokens: up to twice the largest variance.
        self.inverse_sqrt = fit_inverse_sqrt(
            r.variance.low, 2 * r.variance.high + r.variance.low, degree=a.inverse_sqrt_degree
        )
        # Everything is scaled so that sums of squares are already normalised for the series.
        self.norm_scale = math.sqrt(self.inverse_sqrt.slope / layer.features)
        # The level of the residual sum when the result is to end at level 0.
        self.residual_level = 2 + polynomial_depth(a.inverse_sqrt_degree)

    def constants(self) -> dict[str, Array]:
        """Every constant of the graph: weights in sub-slot order, vectors as one period of slots."""
        layer, layout, ranges = self.layer, self.layout, self.ranges
        score_scale = layer.score_scale * self.exp.slope
        centre = np.eye(layer.features) - 1.0 / layer.features
        offset = np.array(ranges.key_offset).reshape(-1)
        output = layer.output.weight.T @ centre * self.norm_scale * self.reciprocal.slope
        shift = self.exp.offset - self.exp.slope * np.array(ranges.shift)
        everywhere, zone_0 = np.ones(layout.sub_slots), layout.columns(np.ones((1, 1)))
        variance = self.inverse_sqrt.slope * layer.norm_eps + self.inverse_sqrt.offset
        return {
            "query.weight": layout.matrix(layer.query.weight.T * score_scale),
            "query.bias": layout.features(layer.query.bias * score_scale),
            "key.weight": layout.matrix(layer.key.weight.T),
            "key.bias": layout.features(layer.key.bias - offset),
            "value.weight": layout.matrix(layer.value.weight.T),
            "value.bias": layout.features(layer.value.bias),
            "anchor": layout.columns(np.array(ranges.anchor)[None, :]),
            "zone_0": zone_0,
            "score.shift": sum(
                (layout.columns(shift[None, :], z) for z in range(layout.zones)), np.zeros(layout.sub_slots)
            ),
            "score.floor": -everywhere,
            "denominator.offset": self.reciprocal.offset * zone_0,
            "output.weight": layout.matrix(output),
            "output.bias": layout.features(centre @ layer.output.bias * self.norm_scale),
            "centre.one": self.norm_scale * zone_0,
            "centre.mean": -self.norm_scale / layer.features * zone_0,
            "variance.floor": -everywhere,
            "variance.real": (variance + 1.0) * zone_0,
            "norm.weight": layout.features(layer.norm_weight / self.norm_scale),
            "norm.bias": layout.features(layer.norm_bias),
        }

    def graph(self, level: int) -> Graph:
        """The sub-layer on inputs at `level`."""
        b = GraphBuilder()
        blocks = range(self.blocks)
        x = self._inputs(b, level)
        q, k, v = self._project(b, x)
        placed_keys, placed_values = self._place(b, k, "keys"), self._place(b, v, "values")
        anchored = any(self.ranges.anchor)
        moved = self._previous_token(b, k) if anchored else []
        b.stage = "exchange"
        keys, values = self._fold(b, placed_keys, "keys"), self._fold(b, placed_values, "values")
        previous = self._previous_keys(b, k, moved) if anchored else []
        anchors = self._anchor(b, q, previous) if anchored else None
        scores = self._scores(b, q, keys, anchors)
        probabilities = self._exponential(b, scores)
        attended = self._attend(b, probabilities, values)
        z = self._residual(b, x, attended)
        results = self._norm(b, z)
        return b.build(tuple(results[p] for p in blocks))

    def _inputs(self, b: GraphBuilder, level: int) -> list[str]:
        b.stage = "project"
        return [b.one("x", Input(level), p) for p in range(self.blocks)]

    def _project(self, b: GraphBuilder, x: list[str]) -> tuple[list[str], list[str], list[str]]:
        """Q, K, V of every block in zone 0; zero on padding, so that padding keys score zero."""
        weights = ("query.weight", "key.weight", "value.weight")
        q: list[str] = []
        k: list[str] = []
        v: list[str] = []
        for p, value in enumerate(x):
            projected = b.many(("q0", "k0", "v0"), Project(weights), p, (value,))
            for name, raw, out in zip(("query", "key", "value"), projected, (q, k, v), strict=True):
                bias = AddPlain((Term(f"{name}.bias", "real tokens", p),))
                out.append(b.one(name[0], bias, p, raw))
        return q, k, v

    def _place(self, b: GraphBuilder, x: list[str], name: str) -> list[str]:
        """Sheared, each block moved into its zone."""
        layout = self.layout
        placed = []
        for p, value in enumerate(x):
            sheared = b.one(f"{name}.sheared", Shear(), p, value)
            zone = p % layout.zones
            placed.append(
                b.one(f"{name}.placed", RotateSum((-zone * layout.width,)), p, sheared) if zone else sheared
            )
        return placed

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

    def _previous_token(self, b: GraphBuilder, k: list[str]) -> list[str]:
        """Keys moved by one token, cyclically inside the block."""
        step = -self.layout.sub_slots
        return [b.one("k.moved", RotateSum((step,)), p, value) for p, value in enumerate(k)]

    def _previous_keys(self, b: GraphBuilder, k: list[str], moved: list[str]) -> list[str]:
        """anchor_h k_{i-1}: a block's first token looks into the block before, the text's at itself."""
        first = [k[0], *moved[:-1]]
        terms = (Term("anchor", "later tokens"), Term("anchor", "first token"))
        return [
            b.one("k.previous", PlainSum(terms), p, later, earlier)
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
        """Normalised scores u in [-1, 1]; padding keys and unused slots at -1, where exp vanishes."""
        b.stage = "scores"
        layout = self.layout
        copies = RotateSum(tuple(-z * layout.width for z in range(layout.zones)))
        scores: list[list[str]] = []
        for p in range(self.blocks):
            copied = b.one("q.copied", copies, p, q[p]) if layout.zones > 1 else q[p]
            row = []
            for g in range(self.groups):
                first = g * layout.zones
                s = b.one(f"scores.group{g}", Scores(), p, copied, keys[p][g])
                if anchors is not None:
                    s = b.one(
                        f"scores.relative{g}", Subtract(), p, s, self._anchor_of(b, p, g, anchors[p], s)
                    )
                shift = AddPlain(
                    (Term("score.shift", "real keys", first), Term("score.floor", "other keys", first))
                )
                row.append(b.one(f"u.group{g}", shift, p, s))
            scores.append(row)
        return scores

    def _anchor_of(self, b: GraphBuilder, p: int, g: int, anchor: str, like: str) -> str:
        """The anchor on the real keys of group g, at the scale of the scores."""
        layout = self.layout
        parts = []
        for z in range(layout.zones):
            mask = PlainSum((Term("zone_0", "real keys", g * layout.zones + z),), scale_like=True)
            parts.append(b.one(f"anchor.group{g}.zone{z}", mask, p, anchor, like))
        steps = tuple(-z * layout.width for z in range(layout.zones))
        return b.one(f"anchor.group{g}", RotateSum(steps), p, *parts)

    def _exponential(self, b: GraphBuilder, scores: list[list[str]]) -> list[list[str]]:
        """exp(s' - high), by a polynomial and squarings."""
        b.stage = "softmax"
        probabilities: list[list[str]] = []
        for p, row in enumerate(scores):
            out = []
            for g, u in enumerate(row):
                value = b.one(f"exp.group{g}", Polynomial.of(self.exp), p, u)
                for i in range(self.squarings):
                    value = b.one(f"exp.group{g}.squared{i + 1}", Multiply(), p, value)
                out.append(value)
            probabilities.append(out)
        return probabilities

    def _attend(self, b: GraphBuilder, probabilities: list[list[str]], values: list[list[str]]) -> list[str]:
        """sum_j p_ij v_j / sum_j p_ij: the division comes last, with two Newton steps folded into it."""
        layout, zones = self.layout, range(self.layout.zones)
        fold = RotateSum(tuple(z * layout.width for z in zones))
        b.stage = "values"
        sums = []
        for p, row in enumerate(probabilities):
            outputs, denominators = [], []
            for g, value in enumerate(row):
                names = (f"o.group{g}", *(f"d.group{g}.zone{z}" for z in zones))
                o, *d = b.many(names, Attend(self.reciprocal.slope), p, (value, values[p][g]))
                outputs.append(b.one(f"o.group{g}.folded", fold, p, o) if layout.zones > 1 else o)
                denominators.append(b.one(f"d.group{g}", fold, p, *d) if layout.zones > 1 else d[0])
            sums.append((b.one("o", Add(), p, *outputs), b.one("d", Add(), p, *denominators)))
        b.stage = "divide"
        return [self._divide(b, p, o, d) for p, (o, d) in enumerate(sums)]

    def _divide(self, b: GraphBuilder, p: int, numerator: str, denominator: str) -> str:
        """numerator * y (1 + e) (1 + e^2), y ~ 1 / d, e = 1 - d y: the error is e^4."""
        u = b.one("d.normalised", AddPlain((Term("denominator.offset"),)), p, denominator)
        y = b.one("reciprocal", Polynomial.of(self.reciprocal.scaled(1 / self.reciprocal.slope)), p, u)
        e = b.one("e", ScalarMinus(1.0), p, b.one("d.y", Multiply(), p, denominator, y))
        rough = b.one("o.y", Multiply(), p, numerator, y)
        better = b.one("o.newton1", Multiply(), p, rough, b.one("e.plus1", AddScalar(1.0), p, e))
        square = b.one("e.squared", Multiply(), p, e)
        return b.one("attention", Multiply(), p, better, b.one("e.squared.plus1", AddScalar(1.0), p, square))

    def _residual(self, b: GraphBuilder, x: list[str], attended: list[str]) -> list[str]:
        """norm_scale * (x + attention W_O + b_O), its mean over the features removed."""
        layout = self.layout
        window = _window_steps(layout)
        b.stage = "output"
        sums = []
        for p, value in enumerate(attended):
            projected = b.one("output.product", Project(("output.weight",)), p, value)
            output = b.one("output", AddPlain((Term("output.bias", "real tokens", p),)), p, projected)
            total = b.one("x.sum", SumOfRotations(window, self.residual_level + 1), p, x[p])
            centred = b.one("x.centred", PlainSum((Term("centre.one"), Term("centre.mean"))), p, x[p], total)
            sums.append(b.one("z", Add(), p, output, centred))
        return sums

    def _norm(self, b: GraphBuilder, z: list[str]) -> list[str]:
        """z / sqrt(variance + eps) * weight + bias."""
        b.stage = "norm"
        results = []
        for p, value in enumerate(z):
            square = b.one("z.squared", Multiply(), p, value)
            variance = b.one("variance", SumOfRotations(_window_steps(self.layout)), p, square)
            shift = AddPlain((Term("variance.floor"), Term("variance.real", "real tokens", p)))
            u = b.one("variance.normalised", shift, p, variance)
            root = b.one("inverse_sqrt", Polynomial.of(self.inverse_sqrt), p, u)
            weighted = b.one("z.weighted", MultiplyPlain(Term("norm.weight")), p, value)
            normalised = b.one("z.normalised", Multiply(), p, weighted, root)
            results.append(b.one("y", AddPlain((Term("norm.bias"),)), p, normalised))
        return results

    def series(self) -> dict[str, ChebyshevSeries]:
        """The fits, for the report."""
        return {"exp": self.exp, "1/x": self.reciprocal, "1/sqrt(x)": self.inverse_sqrt}


def _window_steps(layout: TokenMajorLayout) -> tuple[int, ...]:
    """Steps of the sum over a window of `sub_slots` slots around each: one token's features, unmasked."""
    half = layout.sub_slots // 2
    return (*(2**i for i in range(int(math.log2(half)))), -half)
