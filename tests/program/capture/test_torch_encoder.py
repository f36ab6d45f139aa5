"""torch.nn.TransformerEncoder: one fused weight for three projections, tokens before the batch inside."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.encoder import encoder_layers
from aegis_fhe.program.network import evaluate
from aegis_fhe.program.network.graph import INPUT

from .families import counts, randomised

LAYERS = {"Linear": 12, "Attention": 2, "LayerNorm": 4, "Gelu": 2, "Add": 4}


def encoder(activation="gelu", norm_first=False):
    layer = torch.nn.TransformerEncoderLayer(
        32, 4, 64, activation=activation, batch_first=True, norm_first=norm_first
    )
    return randomised(torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))


@pytest.mark.parametrize(("tokens", "norm_first"), [(5, False), (8, False), (5, True)])
def test_both_orders_of_the_norms(tokens, norm_first):
    module = encoder(norm_first=norm_first)
    captured = capture_network(module, torch.zeros(1, tokens, 32))
    assert captured.embed is None
    assert counts(captured) == LAYERS
    hidden = torch.randn(1, tokens, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = module(hidden)[0].numpy()
    found = evaluate(captured.network, captured.weights, hidden[0].double().numpy())
    np.testing.assert_allclose(found, expected, atol=5e-5)


def test_the_fused_projection_becomes_three_linears_with_its_rows():
    module = encoder()
    captured = capture_network(module, torch.zeros(1, 5, 32))
    attention = captured.network.producer("layers.0.self_attn.attention")
    assert attention.inputs == tuple(
        f"layers.0.self_attn.in_proj[{first}:{first + 32}]" for first in (0, 32, 64)
    )
    fused = module.layers[0].self_attn.in_proj_weight.detach().numpy()
    for number, name in enumerate(attention.inputs):
        linear = captured.network.producer(name)
        assert linear.inputs == (INPUT,)
        part = captured.weights[linear.operator.weight]
        assert np.array_equal(part, fused[32 * number : 32 * number + 32])


def test_a_post_norm_encoder_is_read_as_encoder_layers():
    module = encoder()
    captured = capture_network(module, torch.zeros(1, 5, 32))
    layers, _ = encoder_layers(captured.network, captured.weights)
    expected = [layer.linear1.weight.detach().numpy() for layer in module.layers]
    assert all(np.array_equal(a.expand.weight, b) for a, b in zip(layers, expected, strict=True))


def test_tracing_leaves_the_fast_path_as_it_was():
    assert torch.backends.mha.get_fastpath_enabled()
    capture_network(encoder(), torch.zeros(1, 5, 32))
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_default_activation_is_refused_by_its_layer():
    with pytest.raises(UnsupportedModuleError, match=r"^layers\.0: operator relu is not supported"):
        capture_network(encoder(activation="relu"), torch.zeros(1, 5, 32))
