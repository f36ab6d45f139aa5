"""The numbers of an encrypted self-attention sub-layer: its fits, and every constant of its graph."""

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
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.ranges import AttentionRanges

Array = NDArray[np.float64]

# What all padding keys of a text together may add to a softmax denominator.
PADDING_SHARE = 1e-7


@dataclass(frozen=True, kw_only=True)
class Approximations:
    """Degrees of the fits; the depth of the sub-layer follows from them."""

    exponential_degree: int = 31
    exponential_squarings: int = 2
    reciprocal_degree: int = 63
    inverse_sqrt_degree: int = 31


@dataclass(frozen=True, kw_only=True)
class AttentionFits:
    """exp, 1/x and 1/sqrt(x) on the calibrated ranges, and the scales that the weights absorb for them."""

    exp: ChebyshevSeries
    squarings: int
    reciprocal: ChebyshevSeries
    inverse_sqrt: ChebyshevSeries
    norm_scale: float

    @classmethod
    def of(
        cls, ranges: AttentionRanges, features: int, degrees: Approximations, *, max_tokens: int
    ) -> AttentionFits:
        """Fits of the given degrees.

        Padding keys score the lowest value of the exp interval. It is widened downwards where that is too
        high for max_tokens of them to vanish beside the smallest denominator.

        The sums of squares outside the features mix two tokens, so 1/sqrt(x) covers twice the largest
        variance. The residual sum is scaled by norm_scale, so that sums of squares come out normalised for
        the series.
        """
        score, denominator, variance = ranges.score, ranges.denominator, ranges.variance
        squarings = degrees.exponential_squarings
        vanishing = score.high + math.log(PADDING_SHARE * denominator.low / max_tokens)
        inverse_sqrt = fit_inverse_sqrt(
            variance.low, 2 * variance.high + variance.low, degree=degrees.inverse_sqrt_degree
        )
        return cls(
            exp=fit_exponential(
                min(score.low, vanishing), score.high, degree=degrees.exponential_degree, squarings=squarings
            ),
            squarings=squarings,
            reciprocal=fit_reciprocal(denominator.low, denominator.high, degree=degrees.reciprocal_degree),
            inverse_sqrt=inverse_sqrt,
            norm_scale=math.sqrt(inverse_sqrt.slope / features),
        )

    @property
    def residual_level(self) -> int:
        """Level of the residual sum when the result is to end at level 0: a square, the series, a product."""
        return 2 + polynomial_depth(self.inverse_sqrt.degree)


def attention_constants(
    layer: AttentionSubLayer,
    ranges: AttentionRanges,
    layout: TokenMajorLayout,
    fits: AttentionFits,
    *,
    hidden_scale: float = 1.0,
    value_scale: float = 1.0,
    output_scale: float = 1.0,
) -> dict[str, Array]:
    """Weights [in, out] in sub-slot order; everything else one period of slots, [sub_slots].

    The affine maps onto [-1, 1] that the series need are folded into what produces their inputs, the mean of
    the LayerNorm into the output projection, and the calibrated shifts into the keys' bias and the scores'
    constant. hidden_scale: by which the layer's input is multiplied; value_scale, output_scale: by which V
    and the result are to be.
    """
    score_scale = layer.score_scale * fits.exp.slope
    centre = np.eye(layer.features) - 1.0 / layer.features
    offset = np.array(ranges.key_offset).reshape(-1)
    output = layer.output.weight.T @ centre * fits.norm_scale * fits.reciprocal.slope / value_scale
    shift = fits.exp.offset - fits.exp.slope * np.array(ranges.shift)
    everywhere, zone_0 = np.ones(layout.sub_slots), layout.columns(np.ones((1, 1)))
    zones = [layout.columns(shift[None, :], zone) for zone in range(layout.zones)]
    variance = fits.inverse_sqrt.slope * layer.norm_eps + fits.inverse_sqrt.offset
    query, key, value = (
        layer.query.bias * score_scale,
        layer.key.bias - offset,
        layer.value.bias * value_scale,
    )
    residual = fits.norm_scale / hidden_scale
    return {
        # Queries come out as a real part, keys and values as an imaginary one, and twice: see ComplexParts.
        "query.weight": layout.matrix(layer.query.weight.T * score_scale / (2 * hidden_scale)),
        "key.weight": layout.matrix(layer.key.weight.T / (2 * hidden_scale)),
        "value.weight": layout.matrix(layer.value.weight.T * value_scale / (2 * hidden_scale)),
        "query.bias": layout.features(query) + layout.features(query, 1),
        "key_value.bias": layout.features(key) + layout.features(value, 1),
        "anchor": layout.columns(np.array(ranges.anchor)[None, :]),
        "anchor.offset": layout.features(np.repeat(ranges.anchor, layer.head_dim) * offset),
        "score.part": zone_0 / layout.zones,
        "score.shift": np.sum(zones, axis=0),
        "score.floor": -everywhere,
        "denominator.offset": fits.reciprocal.offset * zone_0,
        "output.weight": layout.matrix(output),
        "output.bias": layout.features(centre @ layer.output.bias * fits.norm_scale),
        "centre.one": residual * zone_0,
        "centre.mean": -residual / layer.features * zone_0,
        "variance.floor": -everywhere,
        "variance.real": (variance + 1.0) * zone_0,
        "norm.weight": layout.features(layer.norm_weight * output_scale / fits.norm_scale),
        "norm.bias": layout.features(layer.norm_bias * output_scale),
    }
