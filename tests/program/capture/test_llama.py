"""LLaMA as Hugging Face ships it: RMSNorm and rotations spelled out, shared key-value heads, gated units."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel

from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.network import Attention, RmsNorm, Rotary

from .families import VOCABULARY, counts, evaluated, randomised, token_ids

LAYERS = {"Linear": 14, "Attention": 2, "Rotary": 4, "RmsNorm": 5, "Silu": 2, "Multiply": 2, "Add": 4}


def config(**other):
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=16,
        **{"num_key_value_heads": 2, **other},
    )


@pytest.mark.parametrize(("tokens", "key_value_heads"), [(5, 2), (8, 1), (5, 4)])
def test_the_hidden_states_with_shared_key_value_heads(tokens, key_value_heads):
    module = randomised(LlamaModel(config(num_key_value_heads=key_value_heads)))
    captured = capture_network(module, token_ids(tokens))
    assert counts(captured) == LAYERS
    for length in (1, 3, tokens):
        ids = token_ids(length, seed=7)
        with torch.no_grad():
            expected = module(ids, use_cache=False).last_hidden_state[0].numpy()
        np.testing.assert_allclose(evaluated(captured, ids), expected, atol=5e-5)


def test_the_logits_and_what_the_operators_are():
    module, ids = randomised(LlamaForCausalLM(config(rms_norm_eps=3e-5))), token_ids(6, seed=3)
    captured = capture_network(module, token_ids(6), output="logits")
    assert counts(captured) == {**LAYERS, "Linear": 15}
    with torch.no_grad():
        expected = module(ids, use_cache=False).logits[0].numpy()
    np.testing.assert_allclose(evaluated(captured, ids), expected, atol=1e-4)

    def named(name):
        return captured.network.producer(name).operator

    layer = "model.layers.0"
    assert named(f"{layer}.self_attn.attention") == Attention(
        heads=4, key_value_heads=2, head_dim=8, scale=8**-0.5, causal=True
    )
    norm = RmsNorm(weight=f"{layer}.input_layernorm.weight", epsilon=3e-5, features=32)
    assert named(f"{layer}.input_layernorm") == norm


def test_the_tables_of_the_rotation_are_those_of_the_paper():
    captured = capture_network(randomised(LlamaModel(config())), token_ids(6))
    rotations = [part.operator for part in captured.network.nodes if isinstance(part.operator, Rotary)]
    paths = [f"layers.{layer}.self_attn.{part}_proj.rotary" for layer in (0, 1) for part in ("q", "k")]
    assert [captured.network.producer(path).operator.heads for path in paths] == [4, 2] * 2
    assert len({(part.cosine, part.sine) for part in rotations}) == 1  # one pair of tables for all
    frequencies = 10000.0 ** (-np.arange(4) / 4)
    angles = np.tile(np.outer(np.arange(6), frequencies), 2)
    np.testing.assert_allclose(captured.weights[rotations[0].cosine], np.cos(angles), atol=1e-6)
    np.testing.assert_allclose(captured.weights[rotations[0].sine], np.sin(angles), atol=1e-6)


def test_the_clients_part_is_the_embedding_alone():
    module = randomised(LlamaModel(config()))
    captured = capture_network(module, token_ids(5))
    expected = module.embed_tokens.weight[[3, 1, 4]].detach().double().numpy()
    assert np.array_equal(captured.embed([3, 1, 4]), expected)
