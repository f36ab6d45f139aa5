"""What no network can express is refused with its module path and the nearest form, never read wrongly."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import MistralConfig, MistralModel

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture import capture_network

from .families import VOCABULARY, randomised, token_ids

EXAMPLE = torch.zeros(1, 6, 8)


class Block(torch.nn.Module):
    """`inner`, a module of its own, applied to a linear layer's result."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(4)
        self.linear, self.inner = torch.nn.Linear(8, 8), Inner(function)

    def forward(self, x):
        return self.inner(self.linear(x))


class Inner(torch.nn.Module):
    """A function with parameters at hand."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.vector = torch.nn.Parameter(torch.ones(8))
        self.matrix = torch.nn.Parameter(torch.eye(6))

    def forward(self, x):
        return self.function(self, x)


def heads(x):
    return x.view(1, 6, 2, 4).transpose(1, 2)


def attention(x, **options):
    y = torch.nn.functional.scaled_dot_product_attention(heads(x), heads(x), heads(x), **options)
    return y.transpose(1, 2).reshape(1, 6, 8)


def reordered(x):
    """Queries of the tokens in reverse."""
    return torch.nn.functional.scaled_dot_product_attention(heads(x).flip(2), heads(x), heads(x))


NEAREST = "nearest supported form: "
REFUSED = {
    "relu": (lambda m, x: torch.relu(x), "relu is not supported; " + NEAREST + "Gelu"),
    "relu in place": (lambda m, x: torch.relu_(x), "relu_ is not supported; " + NEAREST + "Gelu"),
    "convolution": (
        lambda m, x: torch.nn.functional.conv1d(x.transpose(1, 2), m.vector.reshape(1, 8, 1)),
        "conv1d is not supported; " + NEAREST + "Linear",
    ),
    "unknown": (lambda m, x: torch.fft.fft(x).real, "fft_fft is not supported; " + NEAREST + "one of Linear"),
    "difference": (lambda m, x: x - torch.tanh(x), "sub is not supported; " + NEAREST + "Add"),
    "minus": (lambda m, x: -x, "uses -x; " + NEAREST + "Linear"),
    "factor": (lambda m, x: 2.0 * x, "mul combines a value with constants; " + NEAREST + "Linear"),
    "bias": (lambda m, x: x + m.vector, "add combines a value with constants; " + NEAREST + "Linear"),
    "parameter": (lambda m, x: x + torch.relu_(m.vector.detach()), "relu_ writes into its argument"),
    "quotient": (lambda m, x: x / torch.tanh(x), "div is not supported; " + NEAREST + "Linear"),
    "weighted sum": (lambda m, x: torch.add(x, torch.tanh(x), alpha=2), "weighs its second term"),
    "softmax": (lambda m, x: torch.softmax(x, dim=-1), "softmax is not supported; " + NEAREST + "Attention"),
    "mean of features": (lambda m, x: x.mean(dim=2), "mean is not supported; " + NEAREST + "LayerNorm"),
    "mean of some tokens": (lambda m, x: x[:, 1:].mean(dim=1), "mean uses some tokens only"),
    "another token": (lambda m, x: x[:, 2], "uses some tokens only"),
    "joined values": (lambda m, x: torch.cat([x, torch.tanh(x)], dim=2), "cat joins several values"),
    "broadcast": (lambda m, x: x * x[:, :1].tanh(), "mul combines values of different shapes"),
    "norm of tokens": (
        lambda m, x: torch.nn.functional.layer_norm(x, (6, 8)),
        "layer_norm must be over the 8 features alone",
    ),
    "part of a value": (
        lambda m, x: torch.tanh(x)[..., :4] * torch.tanh(x)[..., 4:],
        "takes some features of inner alone",
    ),
    "two inputs": (lambda m, x: x @ x.transpose(1, 2), "matmul is not supported; " + NEAREST + "Linear"),
    "weights of the input": (
        lambda m, x: torch.nn.functional.linear(x, x[0] * x[0]),
        "needs a weight matrix that is known at capture",
    ),
    "bias per token": (
        lambda m, x: attention(x, attn_mask=torch.arange(6.0).expand(6, 6)),
        "adds a bias to its scores",
    ),
    "mask of some": (
        lambda m, x: attention(x, attn_mask=torch.eye(6, dtype=torch.bool)),
        "has a mask that is neither all-visible nor causal",
    ),
    "mask of the input": (
        lambda m, x: attention(x, attn_mask=x[..., :6]),
        "has a mask that depends on the input",
    ),
    "dropped scores": (lambda m, x: attention(x, dropout_p=0.5), "drops weights at random"),
    "heads of tokens": (
        lambda m, x: torch.nn.functional.scaled_dot_product_attention(*[x.view(1, 6, 2, 4)] * 3),
        r"needs \[1, heads, tokens, head_dim\] with all tokens in order",
    ),
    "reverse": (lambda m, x: reordered(x), "flip is not supported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_path_and_with_the_nearest_form(name):
    function, message = REFUSED[name]
    with pytest.raises(UnsupportedModuleError, match="^inner: operator .*" + message):
        capture_network(Block(function), EXAMPLE)


@pytest.mark.parametrize(
    ("example", "shape"),
    [
        (torch.zeros(2, 6, 8), r"\[2, 6, 8\]"),
        (torch.zeros(6, 8), r"\[6, 8\]"),
        (torch.zeros(1, 1, 8), r"\[1, 1, 8\]"),
        (torch.zeros(1, 6, 8, dtype=torch.int64), r"\[1, 6, 8\]"),
    ],
)
def test_examples_of_another_shape(example, shape):
    with pytest.raises(
        UnsupportedModuleError, match=f"the example has shape {shape}: expected integer token"
    ):
        capture_network(torch.nn.Linear(8, 8), example)


def test_a_sliding_window():
    config = MistralConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=64, head_dim=8, sliding_window=3,
    )  # fmt: skip
    with pytest.raises(UnsupportedModuleError, match=r"^layers\.0\.self_attn: .* neither all-visible nor"):
        capture_network(randomised(MistralModel(config)), token_ids(6))


def test_a_module_that_cannot_be_traced():
    class Branching(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else x.tanh()

    with pytest.raises(UnsupportedModuleError, match=r"could not trace Branching: .*must take one tensor"):
        capture_network(Branching(), EXAMPLE)


def test_a_module_that_depends_on_the_texts_length():
    """Read at one length it is a network, but not this one at another length."""

    class Scaled(torch.nn.Module):
        def forward(self, x):
            q = x.view(1, -1, 2, 4).transpose(1, 2)
            y = torch.nn.functional.scaled_dot_product_attention(q, q, q, scale=x.shape[1] / math.sqrt(4))
            return y.transpose(1, 2).reshape(x.shape)

    with pytest.raises(UnsupportedModuleError, match=r"computes something else .* on 3 random tokens"):
        capture_network(Scaled(), EXAMPLE)


def test_token_ids_that_never_become_one_tensor_of_hidden_states():
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = torch.nn.Embedding(9, 8), torch.nn.Embedding(9, 8)

        def forward(self, ids):
            return torch.tanh(self.first(ids)) + self.second(ids)

    with pytest.raises(UnsupportedModuleError, match="do not become one tensor of hidden states"):
        capture_network(Twice(), torch.tensor([[1, 2, 8]]))
