"""GPT-2 as Hugging Face ships it: fused projections, a causal mask built from positions, GELU spelled out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.network import Attention, Gelu, Linear

from .families import VOCABULARY, counts, evaluated, randomised, token_ids

LAYERS = {"Linear": 12, "Attention": 2, "LayerNorm": 5, "Gelu": 2, "Add": 4}


def config(**other):
    return GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=16,
        bos_token_id=0,
        eos_token_id=0,
        **other,
    )


@pytest.mark.parametrize("tokens", [5, 8])
def test_the_hidden_states(tokens):
    module = randomised(GPT2Model(config()))
    captured = capture_network(module, token_ids(tokens))
    assert counts(captured) == LAYERS
    for length in (1, 3, tokens):
        ids = token_ids(length, seed=7)
        with torch.no_grad():
            expected = module(ids).last_hidden_state[0].numpy()
        np.testing.assert_allclose(evaluated(captured, ids), expected, atol=5e-5)


def test_attention_is_causal_and_the_activation_the_tanh_form():
    captured = capture_network(randomised(GPT2Model(config())), token_ids(5))
    operators = [node.operator for node in captured.network.nodes]
    attention = Attention(heads=4, key_value_heads=4, head_dim=8, scale=8**-0.5, causal=True)
    assert [part for part in operators if isinstance(part, Attention)] == [attention] * 2
    assert [part for part in operators if isinstance(part, Gelu)] == [Gelu(tanh=True)] * 2


def test_the_fused_projection_becomes_three_linears_with_its_columns():
    module = randomised(GPT2Model(config()))
    captured = capture_network(module, token_ids(5))
    fused = module.h[0].attn.c_attn
    attention = captured.network.producer("h.0.attn.attention")
    assert attention.inputs == ("h.0.attn.c_attn[0:32]", "h.0.attn.c_attn[32:64]", "h.0.attn.c_attn[64:96]")
    for number, name in enumerate(attention.inputs):
        linear = captured.network.producer(name).operator
        part = slice(32 * number, 32 * number + 32)
        assert isinstance(linear, Linear)
        assert np.array_equal(captured.weights[linear.weight], fused.weight[:, part].T.detach().numpy())
        assert np.array_equal(captured.weights[linear.bias], fused.bias[part].detach().numpy())


def test_the_clients_part_is_words_and_positions_without_the_first_norm():
    module = randomised(GPT2Model(config()))
    captured = capture_network(module, token_ids(5))
    with torch.no_grad():
        expected = (module.wte(torch.tensor([3, 1, 4])) + module.wpe(torch.arange(3))).numpy()
    np.testing.assert_allclose(captured.embed([3, 1, 4]), expected, atol=1e-6)


def test_the_language_models_logits():
    module, ids = randomised(GPT2LMHeadModel(config())), token_ids(6, seed=3)
    captured = capture_network(module, token_ids(6), output="logits")
    assert counts(captured) == {**LAYERS, "Linear": 13}
    with torch.no_grad():
        np.testing.assert_allclose(evaluated(captured, ids), module(ids).logits[0].numpy(), atol=1e-4)
