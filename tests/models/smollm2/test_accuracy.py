"""Predicted perplexity: the model's own when noise is small, another one when it is not."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.models.smollm2 import calibrate_decoder, perplexity, predicted_accuracy

from ..llama_network import llama_network

TOKENS = 40


def test_noise_shows_in_perplexity(tiny):
    """Random weights predict badly, but the same with and without polynomials: within 1 %."""
    network, weights = llama_network(tiny.model, TOKENS)
    rng = np.random.default_rng(3)
    public = tiny.public_ids

    def text(tokens):
        return public + rng.integers(3, 264, tokens - len(public)).tolist()

    texts = [text(n) for n in (12, TOKENS) for _ in range(12)]
    ranges = calibrate_decoder(tiny, network, weights, texts, origin="random tokens")
    assert ranges.public_tokens == len(public)
    ids = text(TOKENS)
    quiet, loud = (
        predicted_accuracy(tiny, network, weights, ranges, ids, noise_bits=bits, rng=np.random.default_rng(1))
        for bits in (30.0, 15.0)
    )
    assert quiet.exact == loud.exact == perplexity(tiny, ids)
    assert quiet.outside == ()
    assert abs(quiet.change) < 0.01
    assert abs(loud.change) > 3 * abs(quiet.change)
    assert quiet.change == pytest.approx((quiet.simulated - quiet.exact) / quiet.exact)
    assert (quiet.tokens, quiet.noise_bits) == (TOKENS, 30.0)
