"""Pooling, norms, matrices and orders of features, written in several ways, compute what the module does."""

from __future__ import annotations

import math

import pytest
import torch

from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.network import (
    Add,
    Attention,
    Gelu,
    Linear,
    MeanTokens,
    Multiply,
    RmsNorm,
    TakeToken,
    Tanh,
)


class Around(torch.nn.Module):
    """A function of a linear layer's result, with weights at hand."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(6)
        self.linear, self.function = torch.nn.Linear(8, 16), function
        self.gain = torch.nn.Parameter(torch.rand(16) + 0.5)
        self.matrix = torch.nn.Parameter(torch.rand(16, 4))

    def forward(self, x):
        return self.function(self, self.linear(x))


def operators(function):
    """Capture compares with the module on random inputs, so reading at all means computing the same."""
    captured = capture_network(Around(function), torch.zeros(1, 6, 8))
    return [node.operator for node in captured.network.nodes], captured


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (lambda m, x: x[:, 0], TakeToken(index=0)),
        (lambda m, x: x[:, -1], TakeToken(index=-1)),
        (lambda m, x: x[:, -1:], TakeToken(index=-1)),
        (lambda m, x: x.mean(dim=1), MeanTokens()),
        (lambda m, x: x.mean(dim=-2, keepdim=True), MeanTokens()),
        (lambda m, x: torch.tanh(x).squeeze(0), Tanh()),
        (lambda m, x: x + x, Add()),
        (lambda m, x: x * x, Multiply()),
    ],
)
def test_the_last_operator(function, operator):
    assert operators(function)[0][1:] == [operator]


@pytest.mark.parametrize(
    ("function", "gain"),
    [
        (lambda m, x: torch.nn.functional.rms_norm(x, (16,), m.gain, 1e-3), "gain"),
        (lambda m, x: m.gain * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-3)), "gain"),
        (lambda m, x: x * torch.rsqrt(1e-3 + (x * x).mean(2, keepdim=True)), None),
    ],
)
def test_the_root_mean_square_norm(function, gain):
    assert operators(function)[0][1:] == [RmsNorm(weight=gain, epsilon=1e-3, features=16)]


def test_a_product_with_a_constant_matrix_is_a_linear_layer():
    found, captured = operators(lambda m, x: x @ m.matrix)
    assert found[1:] == [Linear(weight="matrix", bias=None, in_features=16, out_features=4)]
    assert captured.weights["matrix"].shape == (4, 16)


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        (lambda m, x: torch.tanh(x[..., 4:12]), range(4, 12)),
        (lambda m, x: torch.tanh(x[..., ::2]), range(0, 16, 2)),
        (lambda m, x: torch.tanh(x.unflatten(2, (4, 4)).transpose(2, 3).flatten(2)), None),
    ],
)
def test_chosen_and_reordered_features_are_rows_of_the_weight(function, rows):
    found, captured = operators(function)
    rows = [4 * (i % 4) + i // 4 for i in range(16)] if rows is None else list(rows)
    assert len(found) == 2
    weight = Around(function).linear.weight.detach().double().numpy()
    assert (captured.weights[found[0].weight] == weight[rows]).all()


def test_numbers_written_as_tensors():
    found, _ = operators(lambda m, x: torch.tensor(0.5) * x * (1 + torch.erf(x / torch.tensor(2.0).sqrt())))
    assert found[1:] == [Gelu()]


def test_key_value_heads_that_the_operator_shares_itself():
    def attention(m, x):
        q, k, v = x.split([8, 4, 4], dim=2)
        heads = (part.unflatten(2, (-1, 2)).transpose(1, 2) for part in (q, k, v))
        y = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True)
        return y.transpose(1, 2).flatten(2)

    found, _ = operators(attention)
    expected = Attention(heads=4, key_value_heads=2, head_dim=2, scale=1 / math.sqrt(2), causal=True)
    assert [type(operator) for operator in found[:3]] == [Linear] * 3
    assert found[3:] == [expected]


def test_what_is_computed_twice_is_read_once():
    found, _ = operators(lambda m, x: torch.tanh(x) * torch.tanh(x))
    assert [type(operator) for operator in found] == [Linear, Tanh, Multiply]
