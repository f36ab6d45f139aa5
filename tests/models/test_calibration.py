"""Calibration on made-up layers: ranges hold what was shown, and say what they do not hold."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.errors import RangeError
from aegis_fhe.models import calibrate_attention
from aegis_fhe.models.calibration import violations
from aegis_fhe.program import AttentionSubLayer
from aegis_fhe.program.capture import LinearLayer

FEATURES, HEADS, DIM = 24, 3, 8
Texts = list[np.ndarray]


def linear(rng: np.random.Generator, features: int = FEATURES) -> LinearLayer:
    weight = rng.normal(size=(features, features)) / np.sqrt(features)
    return LinearLayer(path="", weight=weight, bias=0.1 * rng.normal(size=features))


def random_layer(rng: np.random.Generator) -> AttentionSubLayer:
    return AttentionSubLayer(
        heads=HEADS,
        score_scale=DIM**-0.5,
        query=linear(rng),
        key=linear(rng),
        value=linear(rng),
        output=linear(rng),
        norm_weight=np.ones(FEATURES),
        norm_bias=np.zeros(FEATURES),
        norm_eps=1e-12,
    )


@pytest.fixture(scope="module")
def layer() -> AttentionSubLayer:
    return random_layer(np.random.default_rng(1))


@pytest.fixture(scope="module")
def texts() -> Texts:
    rng = np.random.default_rng(2)
    return [rng.normal(size=(n, FEATURES)) for n in (1, 2, 5, 17, 32, 32, 9)]


def relative_scores(layer, ranges, hidden):
    """s' by the formula of `AttentionRanges`, one score at a time."""
    q = (hidden @ layer.query.weight.T + layer.query.bias).reshape(len(hidden), layer.heads, -1)
    k = (hidden @ layer.key.weight.T + layer.key.bias).reshape(len(hidden), layer.heads, -1)
    offsets = np.array(ranges.key_offset)
    found = np.empty((layer.heads, len(hidden), len(hidden)))
    for h, i, j in np.ndindex(found.shape):
        previous = q[i, h] @ k[max(i - 1, 0), h] * layer.score_scale
        score = q[i, h] @ (k[j, h] - offsets[h]) * layer.score_scale
        found[h, i, j] = score - ranges.anchor[h] * previous - ranges.shift[h]
    return found


def test_ranges_hold_all_that_was_shown(layer, texts):
    """Checked from the formulas, not with the code that measured; margins included, so strictly inside."""
    ranges = calibrate_attention(layer, texts, "made up")
    assert ranges.origin == "made up"
    for hidden in texts:
        scores = relative_scores(layer, ranges, hidden)
        assert ranges.score.low + 10 < scores.min()
        assert scores.max() < ranges.score.high
        denominators = np.exp(scores - ranges.score.high).sum(axis=2)
        assert ranges.denominator.low < denominators.min()
        assert denominators.max() < ranges.denominator.high
        assert violations(layer, ranges, hidden) == []


def test_shifts_make_the_log_sum_exp_narrow(layer, texts):
    """Narrower than without them, for every head: the affine prediction is worth its name."""
    ranges = calibrate_attention(layer, texts, "")
    for h in range(HEADS):
        with_shift, without = [], []
        for hidden in texts:
            scores = relative_scores(layer, ranges, hidden)[h]
            q = (hidden @ layer.query.weight.T + layer.query.bias).reshape(len(hidden), HEADS, -1)[:, h]
            k = (hidden @ layer.key.weight.T + layer.key.bias).reshape(len(hidden), HEADS, -1)[:, h]
            with_shift.extend(np.log(np.exp(scores).sum(1)))
            without.extend(np.log(np.exp(q @ k.T * layer.score_scale).sum(1)))
        assert np.ptp(with_shift) < np.ptp(without)


@pytest.mark.parametrize(("factor", "named"), [(6.0, "variances"), (0.1, "variances"), (5.0, "scores")])
def test_texts_out_of_range_are_found_and_described(layer, texts, factor, named):
    found = violations(layer, calibrate_attention(layer, texts, ""), factor * texts[4])
    assert any(line.startswith(f"{named} in [") and "calibrated [" in line for line in found)


def test_denominators_out_of_range_are_found(layer, texts):
    """A text ten times as long as any shown adds up more terms."""
    ranges = calibrate_attention(layer, [text[:2] for text in texts], "")
    long = np.concatenate([texts[4]] * 10)
    assert any(line.startswith("softmax denominators") for line in violations(layer, ranges, long))


def previous_token_layer(sharpness: float) -> AttentionSubLayer:
    """Head 0 looks back by one: hidden = [a_j e_j, e_j, noise], q_i = sharpness e_{i-1}, k_j = a_j e_j."""
    features, dim = 24, 8
    query, key = np.zeros((features, features)), np.zeros((features, features))
    for i in range(dim):
        query[max(i - 1, 0), dim + i] += sharpness
        key[i, i] = 1.0
    rng = np.random.default_rng(4)
    query[dim:, 2 * dim :] = 0.2 * rng.normal(size=(2 * dim, dim))
    key[dim:, 2 * dim :] = 0.2 * rng.normal(size=(2 * dim, dim))
    nothing = np.zeros(features)
    return AttentionSubLayer(
        heads=3,
        score_scale=1.0,
        query=LinearLayer(path="", weight=query, bias=nothing),
        key=LinearLayer(path="", weight=key, bias=nothing),
        value=linear(rng, features),
        output=linear(rng, features),
        norm_weight=np.ones(features),
        norm_bias=nothing,
        norm_eps=1e-12,
    )


def positioned_texts(count: int) -> Texts:
    """Eight tokens; the strength a_j of a token says how much the next one is drawn to it."""
    rng = np.random.default_rng(6)
    strengths = rng.uniform(1.0, 2.0, size=(count, 8))
    position = np.eye(8)
    return [np.hstack([a[:, None] * position, position, rng.normal(size=(8, 8))]) for a in strengths]


def test_a_head_that_looks_at_the_previous_token_is_anchored():
    layer, texts = previous_token_layer(8.0), positioned_texts(40)
    ranges = calibrate_attention(layer, texts, "")
    assert ranges.anchor == (1.0, 0.0, 0.0)
    assert all(violations(layer, ranges, text) == [] for text in texts)


def test_a_head_that_does_not_is_left_alone(layer, texts):
    assert calibrate_attention(layer, texts, "").anchor == (0.0,) * HEADS


def test_calibration_needs_text(layer):
    with pytest.raises(RangeError, match="at least one text"):
        calibrate_attention(layer, [], "")
