"""An unmodified torch.nn.TransformerEncoder, compiled and run on clear slots."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import aegis_fhe
from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.models.encoder_calibration import calibrate_encoder
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.encoder import encoder_layers

from .tiny_encoder import FEATURES, HEADS, plan, texts


def transformer(**options) -> torch.nn.Module:
    torch.manual_seed(2)
    layer = torch.nn.TransformerEncoderLayer(
        FEATURES, HEADS, 64, activation="gelu", batch_first=True, **options
    )
    return torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()


def test_a_plain_transformer_encoder_is_compiled():
    module, example = transformer(), torch.zeros(1, 16, FEATURES)
    captured = capture_network(module, example)
    layers, _ = encoder_layers(captured.network, captured.weights)
    program = aegis_fhe.compile(
        module, example, calibrate_encoder(layers, texts(200, 16), ""), bootstrap=plan()
    )
    hidden = texts(200, 16)[0]
    with torch.no_grad():
        expected = module(torch.from_numpy(hidden).float()[None])[0].numpy()
    assert program.max_tokens == 16
    assert program.origin == "TransformerEncoder"
    assert np.abs(program.run_clear(hidden).hidden - expected).max() < 2e-2


def test_another_order_of_norms_is_refused_with_its_path():
    captured = capture_network(transformer(norm_first=True), torch.zeros(1, 16, FEATURES))
    with pytest.raises(UnsupportedModuleError, match=r"layers\.1.*the end of a layer must be LayerNorm"):
        encoder_layers(captured.network, captured.weights)
