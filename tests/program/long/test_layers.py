"""Whole layers on float64 slots equal their reference up to their approximations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aegis_fhe.bench.drawn_layer import DrawnLayer, draw_layer
from aegis_fhe.ckks import Parameters, presets
from aegis_fhe.program.long.compile import LongProgram, compile_unrefreshed
from aegis_fhe.program.long.shape import Degrees, LayerShape

from .layers import DECODER, ENCODER, UNEVEN

# Enough for errors of about 1e-6: what is tested is the circuit.
DEGREES = Degrees(exponential=31, squarings=2, reciprocal=63, newton_steps=2, inverse_sqrt=63, activation=127)


def parameters(log_degree: int):
    def of(levels: int) -> Parameters:
        return presets.insecure(log_degree=log_degree, levels=levels, digit_size=10)

    return of


def compiled(layer: DrawnLayer, tokens: int, log_degree: int) -> LongProgram:
    return compile_unrefreshed(
        layer.shape,
        layer.weights,
        layer.ranges,
        slots=1 << (log_degree - 1),
        tokens=tokens,
        parameters=parameters(log_degree),
        degrees=DEGREES,
    )


LLAMA_LIKE_LAYERNORM = dataclasses.replace(DECODER, norm="layer", biases=True, gated=False)


@pytest.mark.parametrize(
    ("shape", "tokens", "log_degree"),
    [
        (DECODER, 16, 10),  # S = 32: keys folded 8 times, one column of hidden states
        (DECODER, 64, 11),  # S = 16: folded 4 times, two columns
        (DECODER, 40, 9),  # three token blocks, the last half full
        (ENCODER, 16, 10),
        (ENCODER, 24, 11),  # S = 32, 8 tokens of the block are padding
        (UNEVEN, 40, 10),  # two token blocks, empty sub-slots beside features and heads
        (LLAMA_LIKE_LAYERNORM, 16, 10),
    ],
)
def test_layer_equals_its_reference(shape: LayerShape, tokens: int, log_degree: int):
    layer = draw_layer(shape, tokens)
    program = compiled(layer, tokens, log_degree)
    found = program.run_clear(layer.hidden)
    assert found.shape == layer.result.shape
    np.testing.assert_allclose(found, layer.result, rtol=0, atol=1e-6)
