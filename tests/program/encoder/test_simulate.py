"""The program on whole texts: equal to the slots without noise, as noisy as they are with it."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.models.encoder_calibration import encoder_violations
from aegis_fhe.program import CompiledProgram
from aegis_fhe.program.clear import ClearBackend, ClearValue
from aegis_fhe.program.encoder import EncoderLayer, EncoderRanges, compile_encoder
from aegis_fhe.program.encoder.noise_bits import noise_bits
from aegis_fhe.program.encoder.simulate import SimulatedEncoder
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.operators import Refresh
from aegis_fhe.program.returns import HiddenStates
from aegis_fhe.program.simulate.noise import Noise

from .tiny_encoder import plan, texts, tiny_encoder, tiny_layers

# What bootstraps add to clear slots: their sine is a polynomial's, and no line.
SINE = 3e-4


def silent() -> Noise:
    return Noise(math.inf, np.random.default_rng(0))


def with_perfect_bootstraps(program: CompiledProgram, hidden: np.ndarray) -> np.ndarray:
    """`run_clear`, with values refreshed by nothing at all."""
    backend = ClearBackend(program.params.q, program.params.slots)
    values = {
        name: backend.encode(slots, program.input_level, program.params.scale)
        for name, slots in zip(program.input_names(), program.pack(hidden), strict=True)
    }
    fresh = Symbol(program.bootstrap.output_level, program.params.scale)
    for node in program.graph.nodes:
        if isinstance(node.operator, Refresh):
            for source, name in zip(node.inputs, node.outputs, strict=True):
                values[name] = ClearValue(values[source].slots.real, fresh)
        else:
            run_node(node, backend, values, program.context(len(hidden)))
    return program.unpack([values[name].slots.real for name in program.graph.results], len(hidden))


def simulated(
    program: CompiledProgram, layers: list[EncoderLayer], ranges: EncoderRanges
) -> SimulatedEncoder:
    return SimulatedEncoder.of(layers, ranges, max_tokens=program.max_tokens, head=program.returns)


@pytest.mark.parametrize("tokens", [8, 16, 24])
@pytest.mark.parametrize("mean", [True, False])
def test_without_noise_it_is_the_program(tokens, mean):
    """Padding keys, kinds of tokens and blocks without a partner included."""
    layers, program = tiny_encoder(tokens, mean=mean)
    for length in (1, 2, 3, 7, tokens):
        hidden = texts(3, tokens, seed=length)[0][:length]
        found = simulated(program, layers, program.ranges)(hidden, silent())
        expected = with_perfect_bootstraps(program, hidden)
        assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()
        assert np.abs(found - program.run_clear(hidden).hidden).max() < SINE * np.abs(expected).max()


def anchored(ranges: EncoderRanges) -> EncoderRanges:
    """Half an anchor on one head, and offsets that matter: nothing random hidden states would ask for."""

    def change(layer):
        attention = msgspec.structs.replace(
            layer.attention,
            anchor=(0.0, 0.5, *layer.attention.anchor[2:]),
            score=msgspec.structs.replace(layer.attention.score, low=layer.attention.score.low - 5.0),
        )
        return msgspec.structs.replace(layer, attention=attention)

    return msgspec.structs.replace(ranges, layers=tuple(change(layer) for layer in ranges.layers))


def test_anchored_heads():
    layers, ranges = tiny_layers()
    ranges = anchored(ranges)
    program = compile_encoder(layers, ranges, max_tokens=16, head=HiddenStates(), bootstrap=plan(), origin="")
    plain = simulated(program, layers, tiny_layers()[1])
    hidden = texts(3, 16, seed=6)[0][:13]
    found, expected = (
        simulated(program, layers, ranges)(hidden, silent()),
        with_perfect_bootstraps(program, hidden),
    )
    assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()
    assert np.abs(found - plain(hidden, silent())).max() > 1e-9


def test_noise_is_that_of_the_slots_at_every_length():
    """Bits found on one text; on others the result deviates as much as on slots, within a factor of 2."""
    layers, program = tiny_encoder(16, mean=True)
    encoder = simulated(program, layers, program.ranges)
    bits = noise_bits(program, encoder, texts(3, 16, seed=1)[0])
    for length in (2, 5, 9, 16):
        hidden = texts(3, 16, seed=length)[0][:length]
        clear, quiet = program.run_clear(hidden).hidden, encoder(hidden, silent())
        slots = [program.run_simulated(hidden, seed=seed).hidden - clear for seed in range(3)]
        rng = np.random.default_rng(length)
        numbers = [encoder(hidden, Noise(bits, rng)) - quiet for _ in range(12)]
        assert 0.5 < np.sqrt(np.mean(np.square(numbers)) / np.mean(np.square(slots))) < 2


def test_a_text_far_outside_does_not_stop_it():
    layers, program = tiny_encoder(16, mean=True)
    found = simulated(program, layers, program.ranges)(1e3 * texts(3, 16)[0], silent())
    assert found.shape == (1, layers[0].features)
    assert not np.abs(found).max() < 1e3


def test_what_leaves_a_range_is_named_where_it_is_met():
    """Calibration text leaves none; a bound below what a text shows is named, and nothing else."""
    layers, ranges = tiny_layers()
    hidden = texts(3, 16, seed=2)[0]
    program = SimulatedEncoder.of(layers, ranges, max_tokens=16, head=HiddenStates())
    assert program.outside(hidden) == ()
    largest = np.abs(layers[1].sums(layers[0].evaluate(hidden))[1]).max()
    second = msgspec.structs.replace(ranges.layers[1], activation=0.9 * largest)
    tight = msgspec.structs.replace(ranges, layers=(ranges.layers[0], second))
    (words,) = SimulatedEncoder.of(layers, tight, max_tokens=16, head=HiddenStates()).outside(hidden)
    assert words.startswith("layer 1, feed-forward: ")
    assert "activation inputs outside" in words


def test_what_approximations_move_outside_is_found_too():
    """A bound between the exact largest value of a text and the one that the layer before makes of it."""
    layers, ranges = tiny_layers()
    first = msgspec.structs.replace(ranges, layers=ranges.layers[:1], output=ranges.layers[1].hidden)
    before = SimulatedEncoder.of(layers[:1], first, max_tokens=16, head=HiddenStates())

    def largest(hidden: np.ndarray) -> float:
        return float(np.abs(layers[1].sums(hidden)[1]).max())

    samples = [texts(3, 16, seed=seed)[0] for seed in range(8)]
    pairs = [(x, largest(layers[0].evaluate(x)), largest(before(x, silent()))) for x in samples]
    hidden, exact, moved = max(pairs, key=lambda pair: pair[2] / pair[1])
    assert moved > exact
    second = msgspec.structs.replace(ranges.layers[1], activation=(moved + exact) / 2)
    tight = msgspec.structs.replace(ranges, layers=(ranges.layers[0], second))
    assert encoder_violations(layers, tight, hidden) == []
    assert len(SimulatedEncoder.of(layers, tight, max_tokens=16, head=HiddenStates()).outside(hidden)) == 1
