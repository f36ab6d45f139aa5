"""Every constant of an encoder layer's graph, with the scales that its neighbours fold into it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.program.attention_fits import attention_constants
from aegis_fhe.program.encoder.fits import EncoderLayerFits
from aegis_fhe.program.encoder.layer import EncoderLayer
from aegis_fhe.program.encoder_ranges import EncoderLayerRanges
from aegis_fhe.program.layout import TokenMajorLayout

Array = NDArray[np.float64]

# Parts of a projection's output: two zones, each with a real and an imaginary part.
PARTS = 4


def feed_forward_groups(layer: EncoderLayer) -> int:
    """How many projections the hidden units take, PARTS times the width in each."""
    return math.ceil(int(layer.expand.weight.shape[0]) / (PARTS * layer.features))


def layer_constants(
    layer: EncoderLayer,
    ranges: EncoderLayerRanges,
    fits: EncoderLayerFits,
    layout: TokenMajorLayout,
    *,
    next_hidden: float,
) -> dict[str, Array]:
    """Weights [in, out] in sub-slot order; everything else one period of slots, [sub_slots].

    Hidden states are stored divided by their bound, so that they can be refreshed; next_hidden: the bound of
    the layer's output.
    """
    zone_0 = layout.columns(np.ones((1, 1)))
    constants = attention_constants(
        layer.attention,
        ranges.attention,
        layout,
        fits.attention,
        hidden_scale=1 / ranges.hidden,
        value_scale=1 / ranges.value,
        output_scale=1 / ranges.middle,
    )
    constants |= {
        "zone_0": zone_0,
        "zone_1": layout.columns(np.ones((1, 1)), 1),
        "denominator.less_offset": -fits.attention.reciprocal.offset * zone_0,
    }
    constants |= _feed_forward(layer, ranges, fits, layout)
    constants |= _second_norm(layer, fits, layout, next_hidden)
    return constants


def _feed_forward(
    layer: EncoderLayer, ranges: EncoderLayerRanges, fits: EncoderLayerFits, layout: TokenMajorLayout
) -> dict[str, Array]:
    """Hidden unit j of part i (of PARTS) in group g: unit (PARTS g + i) * width + j; i = 2 zone + part.

    Complex parts come out doubled, hence the halves.
    """
    width, bound = layer.features, ranges.activation
    padding = PARTS * width * feed_forward_groups(layer) - layer.expand.weight.shape[0]
    centre = np.eye(width) - 1.0 / width
    expand = np.pad(layer.expand.weight, ((0, padding), (0, 0))) * ranges.middle / (2 * bound)
    bias = np.pad(layer.expand.bias, (0, padding)) / bound
    contract = np.pad(layer.contract.weight, ((0, 0), (0, padding)))
    contract = centre @ contract * (fits.residual_scale * bound / 2)
    one = fits.residual_scale * ranges.middle * layout.columns(np.ones((1, 1)))
    constants = {
        "second.bias": layout.features(centre @ layer.contract.bias * fits.residual_scale),
        "second.one": one,
        "second.mean": -one / width,
    }
    for part in range(PARTS * feed_forward_groups(layer)):
        units = slice(part * width, (part + 1) * width)
        sign = -1.0 if part % 2 else 1.0  # the real part of (g + i h)(A - i B) is g A + h B
        constants[f"expand{part}"] = layout.matrix(expand[units].T)
        constants[f"contract{part}"] = sign * layout.matrix(contract[:, units].T)
        constants[f"expand{part}.bias"] = layout.features(bias[units], part % PARTS // 2)
    return constants


def _second_norm(
    layer: EncoderLayer, fits: EncoderLayerFits, layout: TokenMajorLayout, next_hidden: float
) -> dict[str, Array]:
    norm, zone_0 = fits.norm, layout.columns(np.ones((1, 1)))
    constants = {
        "second.floor": -np.ones(layout.sub_slots),
        "second.weight": layout.features(layer.norm_weight / (norm.scale * next_hidden)),
        "second.shift": layout.features(layer.norm_bias / next_hidden),
    }
    for kind, factor in norm.factors.items():
        offset = norm.series.slope * factor**2 * layer.norm_eps + norm.series.offset
        constants[f"second.factor.{kind}"] = factor * norm.scale / fits.residual_scale * zone_0
        constants[f"second.variance.{kind}"] = (offset + 1.0) * zone_0
    return constants
