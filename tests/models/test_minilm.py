"""all-MiniLM-L6-v2 as packaged: its shipped ranges, real text inside them, exact counts."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from aegis_fhe.errors import RangeError
from aegis_fhe.models import TextEncoder
from aegis_fhe.models.encoder_calibration import encoder_violations
from aegis_fhe.models.minilm.recipe import (
    TOKENS,
    compile_sentence_encoder,
    ranges_for,
    shipped_ranges,
)
from aegis_fhe.models.text_encoder import PACKAGED_MODEL
from aegis_fhe.program import CompiledProgram
from aegis_fhe.program.encoder import EncoderLayer

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


@pytest.fixture(scope="module")
def layers(encoder: TextEncoder) -> list[EncoderLayer]:
    return encoder.parts()[0]


@pytest.fixture(scope="module")
def program(encoder: TextEncoder) -> CompiledProgram:
    return compile_sentence_encoder(encoder)


def test_shipped_ranges_are_of_six_layers_of_twelve_heads():
    shipped = shipped_ranges()
    assert shipped.tokens == TOKENS == 64
    assert len(shipped.ranges.layers) == 6
    for layer in shipped.ranges.layers:
        assert np.array(layer.attention.key_offset).shape == (12, 32)
    # One head of the first layer looks at the previous token.
    assert sum(shipped.ranges.layers[0].attention.anchor) == 1.0


@needs_model
def test_shipped_ranges_belong_to_the_packaged_weights(encoder):
    assert encoder.name == "all-MiniLM-L6-v2"
    assert encoder.fingerprint() == shipped_ranges().fingerprint
    assert ranges_for(encoder, []) == shipped_ranges().ranges


@needs_model
@pytest.mark.parametrize("text", TEXTS)
def test_ordinary_text_is_inside_the_ranges(encoder, layers, text):
    hidden = encoder.embed(encoder.token_ids(text))
    assert encoder_violations(layers, shipped_ranges().ranges, hidden) == []


@needs_model
def test_other_weights_need_text_to_calibrate_on():
    other = TextEncoder.load()
    with torch.no_grad():
        other.model.embeddings.LayerNorm.bias[0] += 0.01
    with pytest.raises(RangeError, match="no shipped ranges: give sample text"):
        ranges_for(other, [])
    ranges = ranges_for(other, TEXTS)
    assert ranges.origin == "8 windows of 4 texts, up to 64 tokens"
    assert ranges != shipped_ranges().ranges


@needs_model
def test_counts_of_all_six_layers(program):
    """Four bootstraps in a layer, three in the first; no more keys than a bootstrap and one layer share."""
    assert program.params.security_bits >= 128
    assert (program.max_tokens, program.params.degree) == (64, 2**16)
    totals = program.counts().totals()
    assert totals["bootstrap"] in (23, 24, 25)
    assert len(program.key_requests()) < 60
    assert len(program.graph.results) == 1


@needs_model
@pytest.mark.parametrize("text", TEXTS)
def test_approximations_keep_the_sentence_embedding(encoder, program, text):
    hidden = encoder.embed(encoder.token_ids(text))
    expected, found = encoder.sentence(hidden), program.run_clear(hidden).hidden[0]
    assert found @ expected / (np.linalg.norm(found) * np.linalg.norm(expected)) > 0.999
