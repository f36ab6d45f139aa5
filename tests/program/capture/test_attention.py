"""Capture reads ordinary modules, and refuses what the program would compute wrongly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program import AttentionSubLayer, capture_attention

from ..tiny import TinyAttention, hidden_states, reference

EXAMPLE = torch.zeros(1, 6, 32)


def formula(layer: AttentionSubLayer, x: np.ndarray) -> np.ndarray:
    """LayerNorm(x + output(attention)), in numpy, from what was captured alone."""

    def heads(linear):
        return (x @ linear.weight.T + linear.bias).reshape(len(x), layer.heads, -1).transpose(1, 0, 2)

    scores = heads(layer.query) @ heads(layer.key).transpose(0, 2, 1) * layer.score_scale
    weights = np.exp(scores)
    weights /= weights.sum(axis=2, keepdims=True)
    attended = (weights @ heads(layer.value)).transpose(1, 0, 2).reshape(x.shape)
    z = x + attended @ layer.output.weight.T + layer.output.bias
    z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + layer.norm_eps)
    return z * layer.norm_weight + layer.norm_bias


def test_a_module_as_anybody_would_write_it():
    module, x = TinyAttention().eval(), hidden_states(6)
    layer = capture_attention(module, EXAMPLE)
    assert (layer.heads, layer.head_dim, layer.features, layer.norm_eps) == (4, 8, 32, 1e-6)
    assert [part.path for part in (layer.query, layer.key, layer.value, layer.output)] == [
        "query",
        "key",
        "value",
        "output",
    ]
    np.testing.assert_allclose(formula(layer, x), reference(module, x), atol=1e-5)


def test_the_attention_of_hugging_face_bert():
    transformers = pytest.importorskip("transformers")
    from transformers.models.bert.modeling_bert import BertAttention

    config = transformers.BertConfig(hidden_size=48, num_attention_heads=3, attn_implementation="sdpa")
    torch.manual_seed(1)
    module = BertAttention(config).eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = hidden_states(6, 48)
    layer = capture_attention(module, torch.zeros(1, 6, 48))
    assert (layer.heads, layer.head_dim) == (3, 16)
    assert (layer.query.path, layer.output.path) == ("self.query", "output.dense")
    with torch.no_grad():
        expected = module(torch.tensor(x, dtype=torch.float32)[None])[0][0].numpy()
    np.testing.assert_allclose(formula(layer, x), expected, atol=2e-5)


def test_projections_without_bias_and_a_scale_of_their_own():
    class Other(TinyAttention):
        def __init__(self):
            super().__init__()
            self.query = torch.nn.Linear(32, 32, bias=False)
            self.norm = torch.nn.LayerNorm(32)

        def residual(self, x):
            q, k, v = (self.split(layer, x) for layer in (self.query, self.key, self.value))
            attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=0.2)
            return self.output(attended.transpose(1, 2).reshape(x.shape)) + x

    module, x = Other().eval(), hidden_states(6)
    layer = capture_attention(module, EXAMPLE)
    assert not layer.query.bias.any()
    assert (layer.score_scale, layer.norm_eps) == (0.2, 1e-5)
    np.testing.assert_allclose(formula(layer, x), reference(module, x), atol=1e-5)


class ExtraGelu(TinyAttention):
    """An operator that does not belong to the sub-layer."""

    def __init__(self):
        super().__init__()
        self.activation = torch.nn.GELU()

    def forward(self, x):
        return self.norm(self.activation(self.residual(x)))


class PreNorm(TinyAttention):
    """The norm comes first."""

    def forward(self, x):
        return self.residual(self.norm(x))


class NormedProjections(TinyAttention):
    """The norm comes first and last; the projections see the first."""

    def residual(self, x):
        q, k, v = (self.split(layer, self.norm(x)) for layer in (self.query, self.key, self.value))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.output(attended.transpose(1, 2).reshape(x.shape))


class NoResidual(TinyAttention):
    """x is not added."""

    def residual(self, x):
        q, k, v = (self.split(layer, x) for layer in (self.query, self.key, self.value))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return self.output(attended.transpose(1, 2).reshape(x.shape))


class NoOutput(TinyAttention):
    """No projection after the attention."""

    def residual(self, x):
        q, k, v = (self.split(layer, x) for layer in (self.query, self.key, self.value))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return x + attended.transpose(1, 2).reshape(x.shape)


class Masked(TinyAttention):
    """A mask inside the attention."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.zeros(6, 6))

    def residual(self, x):
        q, k, v = (self.split(layer, x) for layer in (self.query, self.key, self.value))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        return x + self.output(attended.transpose(1, 2).reshape(x.shape))


class PlainNorm(TinyAttention):
    """A norm without weights."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(32, elementwise_affine=False)


class WideValue(TinyAttention):
    """A projection that is not square."""

    def __init__(self):
        super().__init__()
        self.value = torch.nn.Linear(32, 64)
        self.output = torch.nn.Linear(64, 32)

    def residual(self, x):
        batch, tokens, _ = x.shape
        q, k = self.split(self.query, x), self.split(self.key, x)
        v = self.value(x).view(batch, tokens, 4, 16).transpose(1, 2)
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.output(attended.transpose(1, 2).reshape(batch, tokens, 64))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (ExtraGelu, r"^activation: operator gelu is not supported"),
        (PreNorm, r"the last operator must be layer_norm, found add"),
        (NormedProjections, r"^query: must be applied to the module's input itself"),
        (NoResidual, r"^output: the input of the LayerNorm must be add, found linear"),
        (NoOutput, r"the second branch of the residual sum must be linear, found scaled_dot_product"),
        (Masked, r"attention mask is not supported"),
        (PlainNorm, r"^norm: weights must be parameters"),
        (WideValue, r"^(value|output): expected a square weight"),
    ],
)
def test_modules_of_another_shape_are_refused_by_name(kind, message):
    with pytest.raises(UnsupportedModuleError, match=message):
        capture_attention(kind().eval(), EXAMPLE)


def test_a_module_that_cannot_be_traced_is_refused():
    class Branching(TinyAttention):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    with pytest.raises(UnsupportedModuleError, match="could not trace Branching"):
        capture_attention(Branching().eval(), EXAMPLE)


class Causal(TinyAttention):
    """Tokens see only those before them."""

    def residual(self, x):
        q, k, v = (self.split(layer, x) for layer in (self.query, self.key, self.value))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + self.output(attended.transpose(1, 2).reshape(x.shape))


class WeightedResidual(TinyAttention):
    """The branch counts twice."""

    def residual(self, x):
        return torch.add(x, super().residual(x) - x, alpha=2.0)


class DoubledBranch(TinyAttention):
    """x + 2 attention, by the parameter of the addition."""

    def residual(self, x):
        q, k, v = (self.split(layer, x) for layer in (self.query, self.key, self.value))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return torch.add(x, self.output(attended.transpose(1, 2).reshape(x.shape)), alpha=2)


class InterleavedHeads(TinyAttention):
    """Feature f belongs to head f mod 4, not f div 8."""

    def split(self, layer, x):
        batch, tokens, features = x.shape
        return layer(x).view(batch, tokens, features // self.heads, self.heads).permute(0, 3, 1, 2)


class AttentionOverHeads(TinyAttention):
    """The transposition was forgotten: heads attend to heads."""

    def split(self, layer, x):
        batch, tokens, features = x.shape
        return layer(x).view(batch, tokens, self.heads, features // self.heads)

    def residual(self, x):
        q, k, v = (self.split(layer, x) for layer in (self.query, self.key, self.value))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.output(attended.reshape(x.shape))


class ScrambledOutput(TinyAttention):
    """Heads are put together without being moved back behind the tokens."""

    def residual(self, x):
        q, k, v = (self.split(layer, x) for layer in (self.query, self.key, self.value))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.output(attended.reshape(x.shape))


class SwappedKeyAndQuery(TinyAttention):
    """Two projections of the same shape, the other way round: this one is fine, and must be read so."""

    def residual(self, x):
        q, k, v = (self.split(layer, x) for layer in (self.key, self.query, self.value))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.output(attended.transpose(1, 2).reshape(x.shape))


@pytest.mark.parametrize(
    "kind",
    [
        Causal,
        WeightedResidual,
        DoubledBranch,
        InterleavedHeads,
        AttentionOverHeads,
        ScrambledOutput,
        SwappedKeyAndQuery,
    ],
)
def test_what_is_not_refused_is_captured_correctly(kind):
    """Modules of the right operators that compute something else: no wrong program may come of them."""
    module, x = kind().eval(), hidden_states(6)
    try:
        layer = capture_attention(module, EXAMPLE)
    except UnsupportedModuleError:
        assert kind is not SwappedKeyAndQuery
        return
    assert layer.score_scale == pytest.approx(1 / math.sqrt(layer.head_dim))
    np.testing.assert_allclose(formula(layer, x), reference(module, x), atol=1e-5)
