"""Whole encoders: approximations against float64, ciphertexts against approximations, exact counts."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from aegis_fhe.ckks import EvaluationKeys, Evaluator, SlotVector
from aegis_fhe.ckks.secret import SecretKey, decrypt, encapsulation_keys, encrypt, evaluation_keys
from aegis_fhe.errors import ContainerError, LayoutError, RangeError, UnsupportedModuleError
from aegis_fhe.program import CompiledProgram
from aegis_fhe.program.encoder import EncoderRanges, compile_encoder
from aegis_fhe.program.encoder.fits import EncoderLayerFits
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.program.operators import Refresh
from aegis_fhe.program.returns import HiddenStates, TokenMean

from .tiny_encoder import FEATURES, plan, reference, texts, tiny_encoder, tiny_layers

# Two layers, each with series within 1e-3, on numbers up to 4.
APPROXIMATION = 2e-2


def run_encrypted(program: CompiledProgram, hidden: np.ndarray) -> np.ndarray:
    params = program.params
    secret = SecretKey.generate(params, seed=b"encoder")
    sparse = encapsulation_keys(secret, program.bootstrap.weight, seed=b"encoder")
    keys = evaluation_keys(secret, program.key_requests(), seed=b"encoder")
    evaluator = Evaluator(params, EvaluationKeys.collect(params, keys, sparse))
    inputs = {
        name: encrypt(secret, SlotVector(values), level=program.input_level, seed=b"encoder").expand(params)
        for name, values in zip(program.input_names(), program.pack(hidden), strict=True)
    }
    results = run_graph(program.graph, evaluator, inputs, program.context(len(hidden)))
    slots = [decrypt(secret, results[name]).real.values for name in program.graph.results]
    return program.unpack(slots, len(hidden))


@pytest.mark.parametrize("length", [1, 2, 3, 8, 9, 16])
def test_the_approximations_are_close_to_the_encoder_at_every_length(length):
    layers, program = tiny_encoder()
    hidden = texts(3, 16, seed=length)[0][:length]
    expected = reference(layers, hidden)
    assert np.abs(program.run_clear(hidden).hidden - expected).max() < (APPROXIMATION if length > 2 else 1.0)


@pytest.mark.parametrize("tokens", [8, 24])
def test_odd_numbers_of_blocks(tokens):
    """A block without a partner is refreshed alone."""
    layers, program = tiny_encoder(tokens)
    hidden = texts(3, tokens, seed=tokens)[0]
    assert np.abs(program.run_clear(hidden).hidden - reference(layers, hidden)).max() < APPROXIMATION


def test_the_mean_is_over_the_real_tokens():
    layers, program = tiny_encoder(mean=True)
    hidden = texts(3, 16, seed=2)[0][:11]
    result = program.run_clear(hidden).hidden
    assert result.shape == (1, FEATURES)
    assert np.abs(result - reference(layers, hidden).mean(axis=0)).max() < APPROXIMATION


@pytest.mark.parametrize("length", [11, 16])
def test_encrypted_is_clear_but_for_noise(length):
    _, program = tiny_encoder(mean=True)
    hidden = texts(3, 16, seed=length)[0][:length]
    assert np.abs(run_encrypted(program, hidden) - program.run_clear(hidden).hidden).max() < 1e-4


def test_padding_stays_zero_in_every_hidden_state():
    """Or it would leave the calibrated ranges, and a value out of range spoils its whole ciphertext."""
    _, program = tiny_encoder()
    hidden = texts(3, 16, seed=4)[0][:5]
    results = program.run_clear(np.concatenate([hidden])).hidden
    assert results.shape == (5, FEATURES)
    from aegis_fhe.program.clear import ClearBackend

    backend = ClearBackend(program.params.q, program.params.slots)
    inputs = {
        name: backend.encode(values, program.input_level, program.params.scale)
        for name, values in zip(program.input_names(), program.pack(hidden), strict=True)
    }
    largest: dict[str, float] = {}

    def observe(node, values):
        for name, value in zip(node.outputs, values, strict=True):
            largest[name] = float(np.abs(value.slots).max())

    outcome = run_graph(program.graph, backend, inputs, program.context(5), observe=observe)
    rows = outcome[program.graph.results[0]].slots.reshape(8, -1)
    assert np.abs(rows[5:]).max() < 1e-9
    refreshed = [
        name for node in program.graph.nodes if isinstance(node.operator, Refresh) for name in node.inputs
    ]
    assert max(largest[name] for name in refreshed) <= 1.0


def test_bootstraps_are_as_few_as_the_levels_allow():
    """Four of a pair in a layer, three in the first, whose input comes fresh.

    One more where the first norm and the feed-forward take more than all levels together.
    """
    layers, program = tiny_encoder()
    fits = [EncoderLayerFits.of(r, layers[0].gelu, FEATURES, 16) for r in program.ranges.layers]
    deep = sum(f.first_norm_depth + f.feed_forward_depth > program.bootstrap.levels_left for f in fits)
    assert program.counts().total("bootstrap") == 3 + 4 + deep
    assert program.bootstrap.levels_left == 14
    symbols = program.symbols()
    for node in program.graph.nodes:
        if isinstance(node.operator, Refresh):
            assert all(symbols[name].level >= program.bootstrap.input_level for name in node.inputs)
            assert all(symbols[name].level == program.bootstrap.output_level for name in node.outputs)


def test_a_program_survives_its_description():
    _, program = tiny_encoder(mean=True)
    again = CompiledProgram.from_metadata(program.metadata(), program.constants)
    assert again.fingerprint == program.fingerprint
    assert again.bootstrap == program.bootstrap
    assert isinstance(again.ranges, EncoderRanges)
    with pytest.raises(ContainerError):
        CompiledProgram.from_metadata({**program.metadata(), "ranges_of": "poetry"}, program.constants)


def test_what_does_not_fit_is_refused():
    layers, ranges = tiny_layers()
    with pytest.raises(UnsupportedModuleError, match="ranges of 2 layers do not fit 1"):
        compile_encoder(layers[:1], ranges, max_tokens=16, head=HiddenStates(), bootstrap=plan(), origin="")
    with pytest.raises(LayoutError):
        compile_encoder(layers, ranges, max_tokens=16, head=HiddenStates(), bootstrap=plan(9), origin="")
    with pytest.raises(RangeError, match="positive"):
        msgspec.structs.replace(ranges.layers[0], hidden=0.0)
    _, program = tiny_encoder()
    with pytest.raises(RangeError, match="17 tokens"):
        program.context(17)
    assert dataclasses.replace(program, returns=TokenMean()).fingerprint != program.fingerprint
