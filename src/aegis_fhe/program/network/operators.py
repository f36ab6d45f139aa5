"""The operators of a Transformer on hidden states [tokens, features], in float64.

Weights are named, not held: a network without them is a shape, which is all that planning and counting need.
Features of several heads lie head after head, as in Hugging Face checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, Array]


class Linear(msgspec.Struct, frozen=True, tag=True):
    """x weight^T + bias; weight [out_features, in_features]."""

    weight: str
    bias: str | None
    in_features: int
    out_features: int

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """[n, in] -> [n, out]."""
        y: Array = inputs[0] @ weights[self.weight].T
        return y if self.bias is None else y + weights[self.bias]


class Attention(msgspec.Struct, frozen=True, tag=True):
    """softmax(scale * Q K^T) V for every head; inputs Q [n, heads * head_dim], K and V [n, kv * head_dim].

    Query head h uses key-value head h // (heads / key_value_heads). causal: token i sees tokens 0..i alone.
    """

    heads: int
    key_value_heads: int
    head_dim: int
    scale: float
    causal: bool = False

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """-> [n, heads * head_dim]."""
        result = np.empty_like(inputs[0], dtype=np.float64)
        for head in range(self.heads):  # one at a time: all scores of a long text would take gigabytes
            p = self.head_scores(head, inputs[0], inputs[1])
            p -= p.max(axis=1, keepdims=True)
            np.exp(p, out=p)
            p /= p.sum(axis=1, keepdims=True)
            result[:, self.query_features(head)] = p @ inputs[2][:, self.key_features(head)]
        return result

    def scores(self, queries: Array, keys: Array) -> Array:
        """scale * Q K^T [heads, n, n]; -inf where a causal mask hides the key."""
        return np.stack([self.head_scores(head, queries, keys) for head in range(self.heads)])

    def head_scores(self, head: int, queries: Array, keys: Array) -> Array:
        """The scores of one head [n, n]."""
        n = len(queries)
        q, k = queries[:, self.query_features(head)], keys[:, self.key_features(head)]
        scores: Array = q @ k.T * self.scale
        if self.causal:
            scores[np.triu(np.ones((n, n), dtype=bool), 1)] = -np.inf
        return scores

    def query_features(self, head: int) -> slice:
        """Where a head's features lie in Q and in the result."""
        return slice(head * self.head_dim, (head + 1) * self.head_dim)

    def key_features(self, head: int) -> slice:
        """Where the features lie that a query head uses in K and V."""
        return self.query_features(head // (self.heads // self.key_value_heads))


class Rotary(msgspec.Struct, frozen=True, tag=True):
    """x cos + rotated(x) sin for every head, rotated(x) = (-second half, first half) of the head's features.

    cosine, sine: tables [positions, head_dim]; token i uses row i (Su et al., arXiv 2104.09864, §3.2).
    """

    heads: int
    head_dim: int
    cosine: str
    sine: str

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """[n, heads * head_dim] -> the same shape."""
        n, half = len(inputs[0]), self.head_dim // 2
        x = inputs[0].reshape(n, self.heads, self.head_dim)
        rotated = np.concatenate([-x[:, :, half:], x[:, :, :half]], axis=2)
        cosine, sine = weights[self.cosine][:n, None, :], weights[self.sine][:n, None, :]
        y: Array = x * cosine + rotated * sine
        return y.reshape(n, -1)


class LayerNorm(msgspec.Struct, frozen=True, tag=True):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias over the features."""

    weight: str | None
    bias: str | None
    epsilon: float
    features: int

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """[n, features] -> the same shape."""
        x = inputs[0] - inputs[0].mean(axis=1, keepdims=True)
        y: Array = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + self.epsilon)
        y = y if self.weight is None else y * weights[self.weight]
        return y if self.bias is None else y + weights[self.bias]


class RmsNorm(msgspec.Struct, frozen=True, tag=True):
    """x / sqrt(mean(x^2) + epsilon) * weight over the features."""

    weight: str | None
    epsilon: float
    features: int

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """[n, features] -> the same shape."""
        x = inputs[0]
        y: Array = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + self.epsilon)
        return y if self.weight is None else y * weights[self.weight]


class Gelu(msgspec.Struct, frozen=True, tag=True):
    """x Phi(x), or with `tanh` its approximation of Hendrycks and Gimpel (arXiv 1606.08415)."""

    tanh: bool = False

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """Element by element."""
        x = inputs[0]
        if self.tanh:
            inner: Any = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
            approximate: Array = 0.5 * x * (1 + np.tanh(inner))
            return approximate
        from scipy.special import ndtr

        y: Array = x * ndtr(x)
        return y


class Silu(msgspec.Struct, frozen=True, tag=True):
    """x / (1 + exp(-x))."""

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """Element by element."""
        y: Array = inputs[0] * 0.5 * (1 + np.tanh(0.5 * inputs[0]))
        return y


class Tanh(msgspec.Struct, frozen=True, tag=True):
    """tanh(x)."""

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """Element by element."""
        return np.tanh(inputs[0])


class Add(msgspec.Struct, frozen=True, tag=True):
    """x + y."""

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """Element by element."""
        return inputs[0] + inputs[1]


class Multiply(msgspec.Struct, frozen=True, tag=True):
    """x * y."""

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """Element by element."""
        return inputs[0] * inputs[1]


class TakeToken(msgspec.Struct, frozen=True, tag=True):
    """One token's features, [1, features]; index -1 is the last token."""

    index: int

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """[n, features] -> [1, features]."""
        return inputs[0][[self.index]]


class MeanTokens(msgspec.Struct, frozen=True, tag=True):
    """The mean over the text's tokens, [1, features]."""

    def evaluate(self, inputs: Sequence[Array], weights: Weights) -> Array:
        """[n, features] -> [1, features]."""
        y: Array = inputs[0].mean(axis=0, keepdims=True)
        return y


NetworkOperator = (
    Linear
    | Attention
    | Rotary
    | LayerNorm
    | RmsNorm
    | Gelu
    | Silu
    | Tanh
    | Add
    | Multiply
    | TakeToken
    | MeanTokens
)
