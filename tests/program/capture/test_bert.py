"""BERT as Hugging Face ships it: what is captured computes what the module computes, from ids to outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel, RobertaConfig, RobertaModel

from aegis_fhe.errors import RangeError, UnsupportedModuleError
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.encoder import encoder_layers
from aegis_fhe.program.returns import HiddenStates

from .families import VOCABULARY, counts, evaluated, randomised, token_ids

LAYER = {"Linear": 12, "Attention": 2, "LayerNorm": 4, "Gelu": 2, "Add": 4}


def config(**other):
    return BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=16,
        **other,
    )


@pytest.mark.parametrize("tokens", [5, 8])
def test_the_hidden_states_of_texts_up_to_the_examples_length(tokens):
    module = randomised(BertModel(config()))
    captured = capture_network(module, token_ids(tokens))
    assert counts(captured) == LAYER
    for length in range(1, tokens + 1):
        ids = token_ids(length, seed=7)
        with torch.no_grad():
            expected = module(ids).last_hidden_state[0].numpy()
        np.testing.assert_allclose(evaluated(captured, ids), expected, atol=2e-5)


def test_the_pooled_output_and_the_logits():
    ids = token_ids(6, seed=3)
    model = randomised(BertModel(config()))
    classifier = randomised(BertForSequenceClassification(config(num_labels=3)))
    pooled = capture_network(model, token_ids(6), output="pooler_output")
    logits = capture_network(classifier, token_ids(6), output="logits")
    with torch.no_grad():
        np.testing.assert_allclose(evaluated(pooled, ids), model(ids).pooler_output.numpy(), atol=2e-5)
        np.testing.assert_allclose(evaluated(logits, ids), classifier(ids).logits.numpy(), atol=2e-5)
    assert counts(pooled) == {**LAYER, "Linear": 13, "TakeToken": 1, "Tanh": 1}
    assert counts(logits) == {**LAYER, "Linear": 14, "TakeToken": 1, "Tanh": 1}


def test_the_clients_part_is_the_embedding_with_its_norm():
    module = randomised(BertModel(config()))
    captured = capture_network(module, token_ids(6))
    with torch.no_grad():
        expected = module.embeddings(input_ids=torch.tensor([[3, 1, 4]]))[0].double().numpy()
    np.testing.assert_allclose(captured.embed([3, 1, 4]), expected, atol=1e-6)
    assert not any(name.startswith("embeddings") for name in captured.weights)
    with pytest.raises(RangeError, match="7 tokens: the module was captured for 1 to 6"):
        captured.embed([1] * 7)
    with pytest.raises(RangeError, match="outside the vocabulary"):
        captured.embed([VOCABULARY])


def test_names_are_the_modules_paths_and_the_same_every_time():
    first, second = (capture_network(randomised(BertModel(config())), token_ids(5)) for _ in range(2))
    assert first.network == second.network
    assert [(node.name, *node.inputs) for node in first.network.nodes[3:7]] == [
        (
            "encoder.layer.0.attention.self.attention",
            "encoder.layer.0.attention.self.query",
            "encoder.layer.0.attention.self.key",
            "encoder.layer.0.attention.self.value",
        ),
        ("encoder.layer.0.attention.output.dense", "encoder.layer.0.attention.self.attention"),
        ("encoder.layer.0.attention.output.add", "encoder.layer.0.attention.output.dense", "hidden"),
        ("encoder.layer.0.attention.output.LayerNorm", "encoder.layer.0.attention.output.add"),
    ]


def test_positions_that_are_counted_from_the_ids():
    roberta = RobertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=16,
    )
    module, ids = randomised(RobertaModel(roberta)), token_ids(4, seed=7)
    captured = capture_network(module, token_ids(6))
    assert counts(captured) == LAYER
    with torch.no_grad():
        expected = module(ids).last_hidden_state[0].numpy()
    np.testing.assert_allclose(evaluated(captured, ids), expected, atol=2e-5)


def test_relu_is_refused_by_its_path_and_gelu_named_instead():
    module = randomised(BertModel(config(hidden_act="relu")))
    path = r"^encoder\.layer\.0\.intermediate\.intermediate_act_fn: operator relu is not supported"
    with pytest.raises(UnsupportedModuleError, match=path + r"; nearest supported form: Gelu"):
        capture_network(module, token_ids(5))


def test_an_output_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(UnsupportedModuleError, match=r"no output 'logits'; it has \['last_hidden_state'"):
        capture_network(randomised(BertModel(config())), token_ids(5), output="logits")


def test_the_packaged_encoder_is_read_as_its_six_layers():
    model = TextEncoder.load().model
    captured = capture_network(model, torch.tensor([[101, 7592, 2088, 2003, 2307, 102]]))
    assert counts(captured) == {"Linear": 36, "Attention": 6, "LayerNorm": 12, "Gelu": 6, "Add": 12}
    assert set(captured.weights) <= set(dict(model.named_parameters()))
    for name, value in captured.weights.items():
        assert np.array_equal(value, model.get_parameter(name).detach().double().numpy())

    layers, head = encoder_layers(captured.network, captured.weights)
    assert (len(layers), head) == (6, HiddenStates())
    for number, (layer, module) in enumerate(zip(layers, model.encoder.layer, strict=True)):
        read = {
            "attention.self.query": layer.attention.query,
            "attention.self.key": layer.attention.key,
            "attention.self.value": layer.attention.value,
            "attention.output.dense": layer.attention.output,
            "intermediate.dense": layer.expand,
            "output.dense": layer.contract,
        }
        for path, linear in read.items():
            expected = module.get_submodule(path)
            assert linear.path == f"encoder.layer.{number}.{path}"
            assert np.array_equal(linear.weight, expected.weight.detach().double().numpy())
            assert np.array_equal(linear.bias, expected.bias.detach().double().numpy())
        assert np.array_equal(layer.norm_weight, module.output.LayerNorm.weight.detach().double().numpy())
        norm = module.attention.output.LayerNorm
        assert np.array_equal(layer.attention.norm_bias, norm.bias.detach().double().numpy())
        assert (layer.attention.heads, layer.norm_eps, layer.gelu.tanh) == (12, 1e-12, False)
