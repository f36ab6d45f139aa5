"""A captured LLaMA read as decoder layers: compiled from calibrated ranges, each equals the exact one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.errors import LevelError, RangeError, UnsupportedModuleError
from aegis_fhe.models.network_calibration import calibrate_network
from aegis_fhe.program.capture import CapturedNetwork, capture_network
from aegis_fhe.program.long.compile import compile_decoder_layer
from aegis_fhe.program.long.decoder import DecoderLayer, decoder_layers
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.long.shape_program import Packing
from aegis_fhe.program.network import evaluate, part_of
from aegis_fhe.program.network.graph import INPUT
from aegis_fhe.program.simulate import NetworkRanges, simulate
from models.tiny_gguf import tiny_llama

TOKENS, PUBLIC = 24, 2


@pytest.fixture(scope="module")
def captured() -> CapturedNetwork:
    """Two layers, the second with scores that need no rounds."""
    model = tiny_llama()
    with torch.no_grad():
        model.model.layers[1].self_attn.q_proj.weight *= 0.25
    return capture_network(model.model, torch.arange(TOKENS)[None])


@pytest.fixture(scope="module")
def states(captured: CapturedNetwork) -> list[np.ndarray]:
    """Random texts behind the same public opening, before the second layer."""
    rng = np.random.default_rng(4)
    before = part_of(
        captured.network, INPUT, decoder_layers(captured.network, captured.weights)[1].values["input"]
    )
    found = []
    for _ in range(40):
        ids = [1, 2, *rng.integers(3, 300, TOKENS - PUBLIC).tolist()]
        found.append(evaluate(before, captured.weights, captured.embed(ids)))
    return found


def alone(captured: CapturedNetwork, index: int):
    layers = decoder_layers(captured.network, captured.weights)
    assert len(layers) == 2
    network = part_of(captured.network, layers[index].values["input"], layers[index].values["result"])
    (layer,) = decoder_layers(network, captured.weights)
    return network, layer


def calibrated(captured: CapturedNetwork, states: list[np.ndarray]) -> tuple[DecoderLayer, NetworkRanges]:
    network, layer = alone(captured, 1)
    return layer, calibrate_network(
        network, captured.weights, states[:30], public_tokens=PUBLIC, origin="random tokens"
    )


def test_layers_compute_what_the_network_does(captured, states):
    """The parts one after the other are the whole."""
    network, _ = alone(captured, 1)
    hidden = np.random.default_rng(1).normal(size=(8, 32))
    layers = decoder_layers(captured.network, captured.weights)
    before = part_of(captured.network, INPUT, layers[1].values["input"])
    after = part_of(captured.network, layers[1].values["result"], captured.network.result)
    x = hidden
    for part in (before, network, after):
        x = evaluate(part, captured.weights, x)
    np.testing.assert_array_equal(x, evaluate(captured.network, captured.weights, hidden))


def test_a_calibrated_layer_equals_the_exact_one(captured, states):
    """On texts that calibration has not seen, within 1e-3 of its root mean square, bootstraps in clear."""
    layer, ranges = calibrated(captured, states)
    assert np.abs(layer.weights_for(ranges, None).growth).max() > 1e-3
    program = compile_decoder_layer(
        layer,
        ranges,
        tokens=TOKENS,
        bootstrap=presets.insecure(10, levels_left=14),
        public=states[0][:PUBLIC],
    )
    network, _ = alone(captured, 1)
    for x in states[30:33]:
        exact = evaluate(network, captured.weights, x)
        error = np.abs(program.run_clear(x) - exact)[PUBLIC:].max()
        assert error < 1e-3 * np.sqrt((exact[PUBLIC:] ** 2).mean())


@pytest.mark.parametrize("most_scores", [None, 0])
def test_a_layer_that_needs_a_round_equals_the_exact_one(captured, most_scores):
    """The first layer's scores are too wide for one division; in clear it is as exact as any other."""
    rng, (network, layer) = np.random.default_rng(4), alone(captured, 0)
    texts = [[1, 2, *rng.integers(3, 300, TOKENS - PUBLIC).tolist()] for _ in range(33)]
    states = [captured.embed(ids) for ids in texts]
    ranges = calibrate_network(
        network, captured.weights, states[:30], public_tokens=PUBLIC, origin="random tokens"
    )
    assert len(layer.ranges(ranges).rounds) == 1
    program = compile_decoder_layer(
        layer,
        ranges,
        tokens=TOKENS,
        bootstrap=presets.insecure(10, levels_left=14),
        public=states[0][:PUBLIC],
        most_scores=most_scores,
    )
    for x in states[30:]:
        exact = evaluate(network, captured.weights, x)
        simulated = simulate(network, captured.weights, ranges, x, noise_bits=60.0, rng=rng)
        assert simulated.outside == ()
        rms, found = np.sqrt((exact[PUBLIC:] ** 2).mean()), program.run_clear(x)
        assert np.abs(found - exact)[PUBLIC:].max() < 5e-4 * rms
        assert np.abs(found - simulated.values)[PUBLIC:].max() < 3e-3 * rms


def test_fewer_rotated_inputs_are_the_same_layer(captured, states):
    """The same slots from operators that hold at most so many; the babies of no operator are more."""
    layer, ranges = calibrated(captured, states)
    plan, public = presets.insecure(10, levels_left=14), states[0][:PUBLIC]
    free, bounded = (
        compile_decoder_layer(layer, ranges, tokens=TOKENS, bootstrap=plan, public=public, packing=packing)
        for packing in (None, Packing(most_babies=16))
    )
    x = states[30]
    np.testing.assert_allclose(bounded.run_clear(x), free.run_clear(x), atol=1e-6)
    held = [
        [
            node.operator.baby * node.operator.source.columns
            for node in program.graph.nodes
            if isinstance(node.operator, MatrixProduct)
        ]
        for program in (free, bounded)
    ]
    assert max(held[0]) > 16 >= max(held[1])


def test_what_does_not_fit_is_refused(captured, states):
    layer, ranges = calibrated(captured, states)
    plan = presets.insecure(10, levels_left=14)
    with pytest.raises(RangeError, match="for 2 public tokens: give their hidden states"):
        compile_decoder_layer(layer, ranges, tokens=TOKENS, bootstrap=plan)
    too_few = presets.insecure(10, levels_left=7)
    with pytest.raises(LevelError, match="no choice of bootstraps carries this layer"):
        compile_decoder_layer(layer, ranges, tokens=TOKENS, bootstrap=too_few, public=states[0][:PUBLIC])
    torch.manual_seed(1)
    bert = BertModel(
        BertConfig(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48, vocab_size=50
        ),
        add_pooling_layer=False,
    )
    encoder = capture_network(bert, torch.arange(6)[None])
    with pytest.raises(UnsupportedModuleError, match="residual stream"):
        decoder_layers(encoder.network, encoder.weights)
