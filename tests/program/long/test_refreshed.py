"""Layers with bootstraps: on float64 slots they equal their reference, twice in a row."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from aegis_fhe.bench.drawn_layer import draw_layer
from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.errors import LayoutError, LevelError, RangeError
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.compile import compile_layer
from aegis_fhe.program.long.shape import Degrees, LayerShape
from aegis_fhe.program.operators import Refresh

from .layers import DECODER, ENCODER

DEGREES = Degrees(exponential=15, squarings=2, reciprocal=63, newton_steps=2, inverse_sqrt=31, activation=31)


@pytest.mark.parametrize("shape", [DECODER, ENCODER])
def test_refreshed_layer_equals_its_reference(shape: LayerShape):
    """A sine's error at each bootstrap comes on top of the approximations'."""
    layer, plan = draw_layer(shape, 24), presets.insecure(10, levels_left=14)
    program = compile_layer(shape, layer.weights, layer.ranges, tokens=24, bootstrap=plan, degrees=DEGREES)
    found = program.run_clear(layer.hidden)
    np.testing.assert_allclose(found, layer.result, atol=2e-3)
    refreshed = [node for node in program.graph.nodes if isinstance(node.operator, Refresh)]
    assert refreshed
    # A shorter text, on the same program.
    shorter = draw_layer(shape, 24)
    part = program.run_clear(shorter.hidden[:17])
    assert part.shape == (17, shape.features)
    if shape.causal:
        np.testing.assert_allclose(part, layer.result[:17], atol=2e-3)


def test_what_does_not_fit_is_refused():
    layer, plan = draw_layer(DECODER, 16), presets.insecure(10, levels_left=14)
    with pytest.raises(LevelError, match="no choice of bootstraps"):
        compile_layer(
            DECODER,
            layer.weights,
            layer.ranges,
            tokens=16,
            bootstrap=presets.insecure(10, levels_left=6),
            degrees=DEGREES,
        )
    with pytest.raises(LayoutError, match="cosine must be a table of 32 positions"):
        compile_layer(DECODER, layer.weights, layer.ranges, tokens=32, bootstrap=plan, degrees=DEGREES)
    wrong = dataclasses.replace(DECODER, hidden=40)
    with pytest.raises(LayoutError, match="up weight must be"):
        compile_layer(wrong, layer.weights, layer.ranges, tokens=16, bootstrap=plan, degrees=DEGREES)
    program = compile_layer(DECODER, layer.weights, layer.ranges, tokens=16, bootstrap=plan, degrees=DEGREES)
    with pytest.raises(RangeError, match="shorten the text"):
        program.run_clear(np.zeros((17, 32)))


@pytest.mark.parametrize(("shape", "rounds"), [(DECODER, 0), (ENCODER, 0), (DECODER, 1)])
def test_nodes_are_data(shape: LayerShape, rounds: int):
    """A graph survives its way through JSON: every operator is one of the union, told by its tag."""
    layer, plan = draw_layer(shape, 16, rounds=rounds), presets.insecure(10, levels_left=14)
    degrees = dataclasses.replace(DEGREES, rounds=((31, 0),) * rounds)
    program = compile_layer(shape, layer.weights, layer.ranges, tokens=16, bootstrap=plan, degrees=degrees)
    nodes = program.graph.nodes
    assert msgspec.json.decode(msgspec.json.encode(nodes), type=tuple[Node, ...]) == nodes
