"""The layers of a Hugging Face `BertModel`: attention read through `torch.export`, the rest by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture import LinearLayer, capture_attention
from aegis_fhe.program.encoder import EncoderLayer
from aegis_fhe.program.network import Gelu

# Hugging Face's names of activations -> the operator.
ACTIVATIONS = {"gelu": Gelu(), "gelu_new": Gelu(tanh=True), "gelu_pytorch_tanh": Gelu(tanh=True)}
# float32 against float64 on one layer.
TOLERANCE = 1e-3


def bert_layers(model: Any, tokens: int) -> list[EncoderLayer]:
    """All layers, each compared with its module on random hidden states [tokens, features].

    Raises UnsupportedModuleError for another activation, or for a layer that computes something else.
    """
    name = model.config.hidden_act
    if name not in ACTIVATIONS:
        raise UnsupportedModuleError(
            f"encoder.layer.0.intermediate: activation {name!r} is not supported; nearest supported: 'gelu'"
        )
    layers = []
    for index, module in enumerate(model.encoder.layer):
        example = torch.zeros(1, tokens, model.config.hidden_size)
        layer = EncoderLayer(
            attention=capture_attention(module.attention, example),
            expand=_linear(module.intermediate.dense, f"encoder.layer.{index}.intermediate.dense"),
            contract=_linear(module.output.dense, f"encoder.layer.{index}.output.dense"),
            gelu=ACTIVATIONS[name],
            norm_weight=_array(module.output.LayerNorm.weight),
            norm_bias=_array(module.output.LayerNorm.bias),
            norm_eps=float(module.output.LayerNorm.eps),
        )
        _check(layer, module, example, index)
        layers.append(layer)
    return layers


def _check(layer: EncoderLayer, module: Any, example: torch.Tensor, index: int) -> None:
    hidden = torch.randn(example.shape, generator=torch.Generator().manual_seed(index))
    with torch.no_grad():
        result = module(hidden)
    found = (result[0] if isinstance(result, tuple) else result).reshape(example.shape[1:]).double().numpy()
    expected = layer.evaluate(hidden[0].double().numpy())
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise UnsupportedModuleError(
            f"encoder.layer.{index}: is no post-norm encoder layer (off by {difference:.3g} on random input)"
        )


def _linear(module: torch.nn.Linear, path: str) -> LinearLayer:
    return LinearLayer(path=path, weight=_array(module.weight), bias=_array(module.bias))


def _array(tensor: torch.Tensor) -> Any:
    return tensor.detach().to(torch.float64).numpy()
