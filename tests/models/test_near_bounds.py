"""Counts of texts near a bound: margins keep the calibration's own away, a bound without one does not."""

from __future__ import annotations

import msgspec

from aegis_fhe.models.encoder_calibration import BOUND_FACTOR, calibrate_encoder
from aegis_fhe.models.minilm.recipe import ShippedRanges
from aegis_fhe.models.near_bounds import near_bounds
from program.encoder.tiny_encoder import texts, tiny_layers

QUANTITIES = 11


def test_margins_keep_calibration_text_away():
    """The largest size is 0.8 of its bound; at least the text that showed it is within a tenth of that."""
    assert BOUND_FACTOR == 1.25
    layers, _ = tiny_layers()
    samples = texts(20, 24)
    found = near_bounds(layers, calibrate_encoder(layers, samples, ""), samples)
    assert (found.texts, len(found.layers)) == (20, 2)
    for layer in found.layers:
        assert len(layer) == QUANTITIES
        for name in ("input", "V", "first result", "activation input", "second sum"):
            assert layer[name].near == 0
            assert 1 <= layer[name].extreme <= 20
    assert found.share == found.near / 20


def test_a_bound_at_the_largest_value_is_near():
    layers, _ = tiny_layers()
    samples = texts(20, 24)
    ranges = calibrate_encoder(layers, samples, "")
    first = msgspec.structs.replace(ranges.layers[0], value=ranges.layers[0].value / BOUND_FACTOR)
    tight = msgspec.structs.replace(ranges, layers=(first, *ranges.layers[1:]))
    found, before = near_bounds(layers, tight, samples), near_bounds(layers, ranges, samples)
    assert found.layers[0]["V"].near == found.layers[0]["V"].extreme == before.layers[0]["V"].extreme
    assert found.near >= found.layers[0]["V"].near >= 1
    assert found.layers[1] == before.layers[1]


def test_the_ranges_file_keeps_them_and_older_files_load():
    layers, ranges = tiny_layers()
    found = ShippedRanges("weights", 24, ranges, near_bounds(layers, ranges, texts(5, 24)))
    assert msgspec.json.decode(msgspec.json.encode(found), type=ShippedRanges) == found
    older = msgspec.json.encode(
        {"fingerprint": "weights", "tokens": 24, "ranges": msgspec.to_builtins(ranges)}
    )
    assert msgspec.json.decode(older, type=ShippedRanges) == ShippedRanges("weights", 24, ranges)
