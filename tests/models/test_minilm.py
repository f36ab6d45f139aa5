"""all-MiniLM-L6-v2 as packaged: the shipped ranges belong to its weights, and real text is inside them."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from aegis_fhe.errors import RangeError
from aegis_fhe.models import TextEncoder
from aegis_fhe.models.calibration import violations
from aegis_fhe.models.minilm.recipe import TOKENS, compile_first_attention, ranges_for, shipped_ranges
from aegis_fhe.models.text_encoder import PACKAGED_MODEL
from aegis_fhe.program import capture_attention

needs_model = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGED_MODEL) is None, reason=f"{PACKAGED_MODEL} is not installed"
)

LONG = (
    "The committee met on Tuesday to discuss the new library. Several members argued that the old building, "
    "although beautiful, could no longer hold the growing collection. After two hours they agreed to ask the "
    "town for money."
)
TEXTS = [LONG, "Hello", "why is my invoice wrong???", "E = mc^2, as everybody knows since 1905; don't they?"]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.load()


def test_shipped_ranges_are_of_twelve_heads():
    shipped = shipped_ranges()
    assert shipped.tokens == TOKENS == 64
    assert np.array(shipped.ranges.key_offset).shape == (12, 32)
    assert set(shipped.ranges.anchor) == {0.0, 1.0}
    # A padding key adds exp(low - high) to a denominator: 64 of them must stay invisible.
    added = 64 * np.exp(shipped.ranges.score.low - shipped.ranges.score.high)
    assert added < 1e-6 * shipped.ranges.denominator.low


@needs_model
def test_shipped_ranges_belong_to_the_packaged_weights(encoder):
    assert encoder.name == "all-MiniLM-L6-v2"
    assert encoder.fingerprint() == shipped_ranges().fingerprint
    assert ranges_for(encoder, []) == shipped_ranges().ranges


@needs_model
def test_ordinary_text_is_inside_the_ranges(encoder):
    layer = capture_attention(encoder.attention(), torch.zeros(1, TOKENS, encoder.features))
    for text in TEXTS:
        hidden = encoder.embed(encoder.token_ids(text))
        assert violations(layer, shipped_ranges().ranges, hidden) == [], text


@needs_model
def test_other_weights_need_text_to_calibrate_on():
    other = TextEncoder.load()
    with torch.no_grad():
        other.model.embeddings.LayerNorm.bias[0] += 0.01
    with pytest.raises(RangeError, match="no shipped ranges: give sample text"):
        ranges_for(other, [])
    ranges = ranges_for(other, TEXTS)
    assert ranges.origin == "4 texts given at compile time"
    assert ranges != shipped_ranges().ranges


@needs_model
def test_clear_program_on_a_real_sentence(encoder):
    """All approximations together, at 128-bit parameters: max error below 1e-3, cosine above 0.99999."""
    program = compile_first_attention(encoder)
    assert (program.max_tokens, program.params.degree, program.params.max_level) == (64, 2**16, 29)
    assert program.params.security_bits >= 128
    hidden = encoder.embed(encoder.token_ids(LONG))
    expected, found = encoder.reference(hidden), program.run_clear(hidden).hidden
    assert np.abs(found - expected).max() < 1e-3
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((found * expected).sum(axis=1) / norms).min() > 0.99999
