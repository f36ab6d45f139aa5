"""A shape with drawn weights, and a text on which every range that an approximation needs was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aegis_fhe.bench.drawn_layer.ranges import measured_ranges, with_rounds
from aegis_fhe.bench.drawn_layer.reference import named_weights, reference_network
from aegis_fhe.bench.drawn_layer.weights import draw_weights
from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.long.shape import LayerRanges, LayerShape
from aegis_fhe.program.long.weights import LayerWeights
from aegis_fhe.program.network import NetworkNode, evaluate


@dataclass(frozen=True)
class DrawnLayer:
    """hidden [tokens, features]: a text before the layer; result: after it, exactly, in float64.

    ranges: seen on the way, with a margin, so that the layer compiled for them is good for this text.
    """

    shape: LayerShape
    weights: LayerWeights
    hidden: Array
    result: Array
    ranges: LayerRanges


def draw_layer(shape: LayerShape, tokens: int, seed: int = 5, *, rounds: int = 0) -> DrawnLayer:
    """Weights as after initialisation, hidden states N(0, 1); rounds: of normalise-and-square in the ranges.

    Equal numbers for equal arguments, on one version of numpy. Nothing of it is secret.
    """
    rng = np.random.default_rng(seed)
    weights = draw_weights(shape, tokens, rng)
    hidden = rng.normal(size=(tokens, shape.features))
    network, seen = reference_network(shape), dict[str, Array]()

    def observe(node: NetworkNode, inputs: Sequence[Array], value: Array) -> None:
        seen.update({node.name: value, f"{node.name}.in": inputs[0]})

    result = evaluate(network, named_weights(weights), hidden, observe=observe)
    ranges = with_rounds(measured_ranges(shape, network, hidden, seen), network, seen, rounds)
    return DrawnLayer(shape, weights, hidden, result, ranges)
