"""Drawn layers are good for what they are compiled for: their text stays inside the measured ranges."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.bench.drawn_layer import draw_layer
from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.placement.model_shapes import MODELS
from aegis_fhe.program.long.compile import compile_layer
from aegis_fhe.program.long.shape import LayerShape

GATED = LayerShape.decoder(features=32, heads=4, key_value_heads=2, head_dim=8, hidden=48)


def test_equal_seeds_draw_equal_layers():
    first, again, other = (draw_layer(MODELS["tiny"].layer, 16, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.hidden, again.hidden)
    assert np.array_equal(first.result, again.result)
    assert first.ranges == again.ranges
    assert not np.array_equal(first.hidden, other.hidden)
    assert not np.array_equal(first.weights.matrices["up"], other.weights.matrices["up"])


@pytest.mark.parametrize("seed", range(4))
def test_the_tiny_models_polynomials_are_good_for_every_draw(seed: int):
    tiny = MODELS["tiny"]
    drawn = draw_layer(tiny.layer, 64, seed)
    program = compile_layer(
        tiny.layer,
        drawn.weights,
        drawn.ranges,
        tokens=64,
        bootstrap=presets.tiny(),
        degrees=tiny.degrees,
    )
    error = np.abs(program.run_clear(drawn.hidden) - drawn.result).max()
    assert 2.0**-30 < error / np.sqrt((drawn.result**2).mean()) < 2.0**-21


def test_ranges_of_rounds_follow_each_other():
    """After a round probabilities are squares of fractions: their sums lie in (0, 1], wider than the last."""
    none, two = (draw_layer(GATED, 24, rounds=rounds).ranges for rounds in (0, 2))
    assert none.rounds == ()
    assert none.unit is None
    assert two.unit is not None
    assert two.unit < two.score.high
    assert len(two.rounds) == 2
    for later in (two.rounds[1], two.denominator):
        assert 0 < later.low < later.high <= 1.1
