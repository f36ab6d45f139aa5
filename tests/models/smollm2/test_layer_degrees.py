"""Degrees of every layer: those shipped carry every layer, those found are `choose_degrees` on each."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.errors import RangeError
from aegis_fhe.models.smollm2 import SmolLM2, calibrate_decoder
from aegis_fhe.models.smollm2.layer_degrees import LayerDegrees
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.long.decoder import decoder_layers
from aegis_fhe.program.long.degrees import DEGREES
from aegis_fhe.program.long.levels import place_refreshes
from aegis_fhe.program.long.shape import SMOLLM2_135M, LayerRanges
from aegis_fhe.program.long.shape_program import plan_layer


def test_every_shipped_layer_has_its_bootstraps():
    """30 layers at 128 tokens, most of which need a round; no layer is refused."""
    known, plan = LayerDegrees.shipped(), presets.n16()
    found = []
    for degrees in known.layers:
        layer = plan_layer(
            SMOLLM2_135M,
            slots=plan.params.slots,
            tokens=known.tokens,
            ranges=LayerRanges.assumed(len(degrees.rounds)),
            degrees=degrees,
        )
        refreshes = place_refreshes(layer.steps(), fresh=plan.output_level, lowest=plan.input_level)
        found.append((len(degrees.rounds), refreshes.bootstraps))
    assert {pair: found.count(pair) for pair in set(found)} == {(0, 8): 3, (0, 38): 3, (0, 39): 1, (1, 9): 23}


def test_found_on_calibrated_ranges(tiny: SmolLM2, tmp_path: Path):
    torch = pytest.importorskip("torch")
    captured = capture_network(tiny.model.model, torch.arange(16)[None])
    layers = decoder_layers(captured.network, captured.weights)
    texts = [tiny.token_ids(f"{word} and {word} again")[:16] for word in ("ink", "oak", "sea")]
    known = calibrate_decoder(tiny, captured.network, captured.weights, texts, origin="three texts")
    found = LayerDegrees.of(layers, known, tokens=16)
    assert (found.origin, len(found.layers)) == ("three texts", len(layers))
    assert {degrees.exponential for degrees in found.layers} <= set(DEGREES)
    path = tmp_path / "degrees.json"
    found.write(path)
    assert LayerDegrees.read(path) == found
    with pytest.raises(RangeError, match="holds no degrees of layers"):
        LayerDegrees.read(tmp_path / "none.json")
