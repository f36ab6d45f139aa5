"""Calibration of whole encoders: sample text is inside with room, other text is named where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.errors import RangeError
from aegis_fhe.models.calibration import calibrate_attention
from aegis_fhe.models.encoder_calibration import calibrate_encoder, encoder_violations
from aegis_fhe.models.sample_texts import SHORT, windows
from aegis_fhe.program.encoder.fits import (
    DIVISION_DEGREES,
    DIVISION_ERROR,
    SMALLEST_DENOMINATOR,
    reciprocal_series,
)
from aegis_fhe.program.ranges import Interval
from program.encoder.tiny_encoder import FEATURES, texts, tiny_layers


def test_what_was_calibrated_on_is_inside():
    layers, ranges = tiny_layers()
    for hidden in texts(400, 24)[:40]:
        assert encoder_violations(layers, ranges, hidden) == []


@pytest.mark.parametrize(
    ("factor", "words"),
    [(8.0, ["layer 0: input up to", "layer 0: V up to"]), (0.01, ["layer 0: variances in"])],
)
def test_what_is_outside_is_named_with_its_layer(factor, words):
    layers, ranges = tiny_layers()
    found = encoder_violations(layers, ranges, factor * texts(3, 24)[0])
    for word in words:
        assert any(line.startswith(word) for line in found), found


def test_first_and_last_tokens_have_ranges_of_their_own():
    """A first token ten times as large as a word moves its own interval and no other."""
    layers, _ = tiny_layers()
    samples = texts(60, 24)
    marked = [np.concatenate([20 * np.ones((1, FEATURES)) * np.eye(FEATURES)[0], x]) for x in samples]
    plain, found = (calibrate_encoder(layers[:1], s, "").layers[0].variance for s in (samples, marked))
    assert found.opening.high / found.opening.low < 1.7**2 * 4
    assert found.inner.high / found.inner.low < 4 * plain.inner.high / plain.inner.low


def test_no_text_is_refused():
    with pytest.raises(RangeError, match="at least one text"):
        calibrate_encoder(tiny_layers()[0], [], "")


def test_windows_cover_every_word_between_the_special_tokens():
    long, short = list(range(100, 125)), [100, 7, 124]
    found = windows([long, short], 10)
    assert all(ids[0] == 100 and ids[-1] == 124 and len(ids) <= 10 for ids in found)
    assert [word for ids in found[:3] for word in ids[1:-1]] == long[1:-1]
    assert found[3] == [100, *long[1 : 1 + SHORT[0]], 124]
    assert found[4:] == [[100, 7, 124], [100, 7, 124]]


def test_what_the_division_affords_is_margin_above():
    """Above its range 1/D explodes: the margin is 3 there, or what a division within its error leaves."""
    layers, _ = tiny_layers()
    samples = texts(60, 24)
    plain = calibrate_attention(layers[0].attention, samples, "")
    found = calibrate_encoder(layers[:1], samples, "").layers[0].attention
    assert found.score.high == pytest.approx(plain.score.high + 3.0 - 0.8)
    assert np.log(found.denominator.low) == pytest.approx(np.log(plain.denominator.low) - 2.2)
    spread = -np.log(plain.denominator.low) - 0.8
    tight = calibrate_attention(
        layers[0].attention, samples, "", smallest_denominator=float(np.exp(-spread - 1.5))
    )
    assert tight.score.high == pytest.approx(plain.score.high + 1.5 - 0.8)
    assert tight.denominator.low == pytest.approx(np.exp(-spread - 1.5))
    assert found.denominator.low > SMALLEST_DENOMINATOR
    series = reciprocal_series(Interval(SMALLEST_DENOMINATOR, 1.0), DIVISION_DEGREES)
    x = np.geomspace(SMALLEST_DENOMINATOR, 1.0, 2000)
    assert np.abs((1 - x * series(x)) ** 4).max() == pytest.approx(DIVISION_ERROR, rel=0.05)
