"""The network of a transformers LLaMA, written down by hand: decoder layers and the final norm."""

from __future__ import annotations

import numpy as np
import torch

from aegis_fhe.program.network import (
    Add,
    Attention,
    Linear,
    Multiply,
    Network,
    NetworkNode,
    RmsNorm,
    Rotary,
    Silu,
)
from aegis_fhe.program.network.graph import INPUT


def llama_network(model, positions: int) -> tuple[Network, dict[str, np.ndarray]]:
    """Network and weights; rotary tables for so many positions, in float64."""
    config, nodes = model.config, []
    weights = {
        name: tensor.detach().double().numpy()
        for name, tensor in model.model.state_dict().items()
        if "embed" not in name
    }
    size = config.hidden_size // config.num_attention_heads
    weights |= rotary_tables(size, config.rope_parameters["rope_theta"], positions)

    def add(name: str, operator, *inputs: str) -> str:
        nodes.append(NetworkNode(name=name, operator=operator, inputs=inputs, path=name))
        return name

    def linear(name: str, x: str) -> str:
        out_features, in_features = weights[f"{name}.weight"].shape
        operator = Linear(
            weight=f"{name}.weight", bias=None, in_features=in_features, out_features=out_features
        )
        return add(name, operator, x)

    def norm(name: str, x: str) -> str:
        operator = RmsNorm(weight=f"{name}.weight", epsilon=config.rms_norm_eps, features=config.hidden_size)
        return add(name, operator, x)

    def rotary(name: str, x: str, heads: int) -> str:
        return add(name, Rotary(heads=heads, head_dim=size, cosine="cosine", sine="sine"), x)

    x, heads, shared = INPUT, config.num_attention_heads, config.num_key_value_heads
    for layer in range(config.num_hidden_layers):
        at = f"layers.{layer}."
        y = norm(at + "input_layernorm", x)
        q = rotary(at + "q", linear(at + "self_attn.q_proj", y), heads)
        k = rotary(at + "k", linear(at + "self_attn.k_proj", y), shared)
        attention = Attention(
            heads=heads, key_value_heads=shared, head_dim=size, scale=size**-0.5, causal=True
        )
        mixed = add(at + "attention", attention, q, k, linear(at + "self_attn.v_proj", y))
        x = add(at + "middle", Add(), x, linear(at + "self_attn.o_proj", mixed))
        y = norm(at + "post_attention_layernorm", x)
        gate = add(at + "silu", Silu(), linear(at + "mlp.gate_proj", y))
        gated = add(at + "gated", Multiply(), gate, linear(at + "mlp.up_proj", y))
        x = add(at + "sum", Add(), x, linear(at + "mlp.down_proj", gated))
    result = norm("norm", x)
    return Network(features=config.hidden_size, nodes=tuple(nodes), result=result), weights


def rotary_tables(size: int, base: float, positions: int) -> dict[str, np.ndarray]:
    frequencies = base ** (-np.arange(0, size, 2) / size)
    angles = np.tile(np.outer(np.arange(positions), frequencies), 2)
    return {"cosine": np.cos(angles), "sine": np.sin(angles)}


def reference(model, ids: list[int]) -> np.ndarray:
    """Normalised last hidden states of the model itself."""
    with torch.no_grad():
        return model.model(torch.tensor([ids])).last_hidden_state[0].double().numpy()
