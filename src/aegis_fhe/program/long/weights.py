"""A layer's weights as constants of its graph, with the scales that its approximations ask for folded in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aegis_fhe.errors import LayoutError
from aegis_fhe.program.long.fits import LayerFits
from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.long.shape import LayerRanges, LayerShape
from aegis_fhe.program.network import LayerNorm, RmsNorm, Rotary

LINEARS = ("query", "key", "value", "output", "gate", "up", "down")


@dataclass(frozen=True, kw_only=True)
class LayerWeights:
    """matrices[name]: [out, in] as in checkpoints, name in LINEARS ("gate" where there is one).

    biases[name]: [out], zero where absent. norm weights: ones where absent. cosine, sine: [positions,
    head_dim], of rotary positions. score_scale: 1/sqrt(head_dim) unless given.

    shift, growth [heads] and key_offset [heads, head_dim] narrow the scores without changing the softmax:
    scale q_i . (k_j - key_offset_h) - shift_h - growth_h log(visible(i)) with visible(i) keys for query i.
    public: hidden states [public tokens, features] of tokens at the start of every text that everybody may
    know; they need a causal mask. Raises LayoutError from `check`.
    """

    matrices: Mapping[str, Array]
    biases: Mapping[str, Array] = field(default_factory=dict)
    norms: Mapping[str, Array] = field(default_factory=dict)
    cosine: Array | None = None
    sine: Array | None = None
    score_scale: float | None = None
    shift: Array | None = None
    growth: Array | None = None
    key_offset: Array | None = None
    public: Array | None = None

    @property
    def public_tokens(self) -> int:
        """How many tokens at the start are public."""
        return 0 if self.public is None else len(self.public)

    @property
    def known(self) -> frozenset[str]:
        """Which of `steps.KNOWN` there are."""
        given = {"key.offset": self.key_offset, "score.growth": self.growth}
        given |= {"key.public": self.public, "value.public": self.public}
        return frozenset(name for name, value in given.items() if value is not None)

    def check(self, shape: LayerShape, tokens: int) -> None:
        """Raises LayoutError when a matrix or a table has another shape than the layer asks for."""
        for name, expected in _matrix_shapes(shape).items():
            found = self.matrices[name].shape if name in self.matrices else "nothing"
            if found != expected:
                raise LayoutError(f"the layer's {name} weight must be {expected}, found {found}")
        for name, table in (("cosine", self.cosine), ("sine", self.sine)):
            if shape.rotary and (
                table is None or table.shape[0] < tokens or table.shape[1] != shape.head_dim
            ):
                raise LayoutError(f"{name} must be a table of {tokens} positions or more x {shape.head_dim}")
        if self.public_tokens and not shape.causal:
            raise LayoutError("public tokens would see encrypted ones: they need a causal mask")
        if self.public_tokens >= tokens:
            raise LayoutError(f"{self.public_tokens} public tokens leave nothing to encrypt of {tokens}")


def layer_constants(
    weights: LayerWeights, shape: LayerShape, ranges: LayerRanges, fits: LayerFits
) -> dict[str, Array]:
    """Everything the graph names. Matrices [in, out].

    A stored value is the true one over its bound: residual stream `hidden`, from the sum after attention on
    `middle_bound`, normalised values `normalised`,
    attended ones `value`, the gate its series' input, `up` its range. A norm before a linear layer gives its
    affine part to it.
    """
    scores = math.sqrt(1 / shape.head_dim) if weights.score_scale is None else weights.score_scale
    shift = np.zeros(shape.heads) if weights.shift is None else weights.shift
    source = ranges.normalised if shape.pre_norm else ranges.hidden
    units = ranges.activation * (ranges.up if shape.gated else 1.0)
    fold = _Folded(weights, shape)
    constants = {
        "score.offset": fits.exponential.offset - fits.exponential.slope * shift,
        **fold.linear("query", "first", source, 1 / (scores * fits.exponential.slope)),
        **fold.linear("key", "first", source, 1.0),
        # Attended values are divided by slope * D: see Reciprocal.
        **fold.linear("value", "first", source, ranges.value / fits.reciprocal.slope),
        **fold.linear("output", None, ranges.value, ranges.hidden),
        **fold.linear("down", None, units, ranges.middle_bound),
    }
    if shape.gated:
        constants |= fold.linear("gate", "second", source, ranges.activation)
        constants |= fold.linear("up", "second", source, ranges.up)
    else:
        constants |= fold.linear("up", "second", source, ranges.activation)
    if shape.rotary:
        assert weights.cosine is not None
        assert weights.sine is not None
        constants |= {"cosine": weights.cosine, "sine": weights.sine}
    if weights.key_offset is not None:
        constants["key.offset"] = -weights.key_offset
    if weights.growth is not None:
        constants["score.growth"] = fits.exponential.slope * weights.growth
    if weights.public is not None:
        constants |= _public(weights, shape, value_bound=ranges.value / fits.reciprocal.slope)
    if not shape.pre_norm:
        for name in ("first", "second"):
            constants |= {
                f"{name}.norm.weight": fold.norm(name, "weight", 1.0),
                f"{name}.norm.bias": fold.norm(name, "bias", 0.0) / ranges.hidden,
            }
    return constants


def _public(weights: LayerWeights, shape: LayerShape, *, value_bound: float) -> dict[str, Array]:
    """Keys and values of public tokens [tokens, heads, head_dim], less what a zero in their place makes."""
    states = weights.public
    assert states is not None
    fold = _Folded(weights, shape)
    normed = _normalised(states, shape) if shape.pre_norm else states
    found = {}
    for role, bound in (("key", 1.0), ("value", value_bound)):
        matrix = fold.linear(role, "first", 1.0, bound)[f"{role}.weight"]
        projected = normed @ matrix
        if role == "key" and shape.rotary:
            projected = _turned(projected, weights, shape)
        by_head = projected.reshape(len(states), shape.key_value_heads, shape.head_dim)
        found[f"{role}.public"] = np.repeat(by_head, shape.heads // shape.key_value_heads, axis=1)
    return found


def _normalised(x: Array, shape: LayerShape) -> Array:
    """The norm without its affine part."""
    if shape.norm == "rms":
        return RmsNorm(weight=None, epsilon=shape.epsilon, features=shape.features).evaluate([x], {})
    norm = LayerNorm(weight=None, bias=None, epsilon=shape.epsilon, features=shape.features)
    return norm.evaluate([x], {})


def _turned(keys: Array, weights: LayerWeights, shape: LayerShape) -> Array:
    """Rotary positions 0, 1, ... of keys [tokens, key_value_heads * head_dim]."""
    assert weights.cosine is not None
    assert weights.sine is not None
    rotary = Rotary(heads=shape.key_value_heads, head_dim=shape.head_dim, cosine="cosine", sine="sine")
    return rotary.evaluate([keys], {"cosine": weights.cosine, "sine": weights.sine})


class _Folded:
    """Linear layers with the affine part of a norm before them."""

    def __init__(self, weights: LayerWeights, shape: LayerShape) -> None:
        self.weights, self.shape = weights, shape

    def norm(self, name: str, part: str, default: float) -> Array:
        """[features]."""
        default_vector = np.full(self.shape.features, default)
        return self.weights.norms.get(f"{name}.{part}", default_vector)

    def linear(self, name: str, norm: str | None, source: float, target: float) -> dict[str, Array]:
        """Weight [in, out] and bias for a stored input times `source` -> a result stored over `target`."""
        matrix = self.weights.matrices[name].T
        bias = self.weights.biases.get(name, np.zeros(matrix.shape[1]))
        if norm is not None and self.shape.pre_norm:
            bias = bias + self.norm(norm, "bias", 0.0) @ matrix
            matrix = self.norm(norm, "weight", 1.0)[:, None] * matrix
        return {f"{name}.weight": matrix * (source / target), f"{name}.bias": bias / target}


def _matrix_shapes(shape: LayerShape) -> dict[str, tuple[int, int]]:
    """[out, in] of every linear layer."""
    queries, keys = shape.heads * shape.head_dim, shape.key_value_heads * shape.head_dim
    shapes = {
        "query": (queries, shape.features),
        "key": (keys, shape.features),
        "value": (keys, shape.features),
        "output": (shape.features, queries),
        "up": (shape.hidden, shape.features),
        "down": (shape.features, shape.hidden),
    }
    return shapes | ({"gate": (shape.hidden, shape.features)} if shape.gated else {})
