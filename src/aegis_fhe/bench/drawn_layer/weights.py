"""Drawn weights of a layer, as they are after initialisation, norms' weights near 1."""

from __future__ import annotations

import numpy as np

from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.long.shape import LayerShape
from aegis_fhe.program.long.weights import LayerWeights

# Of the scores of every head.
SHIFT = 0.1
_ROTARY_BASE = 100.0


def draw_weights(shape: LayerShape, tokens: int, rng: np.random.Generator) -> LayerWeights:
    """Matrices N(0, 1 / inputs), biases N(0, 0.2^2), norms' weights N(1, 0.2^2); positions for `tokens`."""
    queries, keys = shape.heads * shape.head_dim, shape.key_value_heads * shape.head_dim
    n, f = shape.features, shape.hidden
    sizes = {"query": (queries, n), "key": (keys, n), "value": (keys, n), "output": (n, queries)}
    sizes |= {"gate": (f, n), "up": (f, n), "down": (n, f)}
    norms = {f"{name}.weight": rng.normal(1.0, 0.2, n) for name in ("first", "second")}
    if shape.norm == "layer":
        norms |= {f"{name}.bias": rng.normal(0.0, 0.2, n) for name in ("first", "second")}
    biases = {name: rng.normal(0.0, 0.2, size[0]) for name, size in sizes.items()}
    angles = _angles(shape, tokens)
    return LayerWeights(
        matrices={name: rng.normal(0.0, size[1] ** -0.5, size) for name, size in sizes.items()},
        biases=biases if shape.biases else {},
        norms=norms,
        cosine=np.cos(angles),
        sine=np.sin(angles),
        shift=np.full(shape.heads, SHIFT),
    )


def _angles(shape: LayerShape, tokens: int) -> Array:
    """[tokens, head_dim], each half alike."""
    half = np.arange(tokens)[:, None] / _ROTARY_BASE ** (np.arange(shape.head_dim // 2) / shape.head_dim)
    return np.concatenate([half, half], axis=1)
