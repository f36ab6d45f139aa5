"""A layer of any shape without a checkpoint: drawn weights, a drawn text, its exact result, its ranges."""

from aegis_fhe.bench.drawn_layer.layer import DrawnLayer, draw_layer
from aegis_fhe.bench.drawn_layer.reference import named_weights, reference_network
from aegis_fhe.bench.drawn_layer.weights import SHIFT

__all__ = ["SHIFT", "DrawnLayer", "draw_layer", "named_weights", "reference_network"]
