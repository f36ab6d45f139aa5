"""Perplexity: torch's cross entropy on the same text, over more rows than are held at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from aegis_fhe.errors import RangeError
from aegis_fhe.models.smollm2 import final_states, perplexity


def test_it_is_the_exponential_of_the_cross_entropy(tiny, monkeypatch):
    monkeypatch.setattr("aegis_fhe.models.smollm2.evaluation._ROWS", 7)
    ids = tiny.token_ids("the cat the cat, the cat")
    with torch.no_grad():
        logits = tiny.model(torch.tensor([ids])).logits[0]
    expected = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:])).item()
    assert perplexity(tiny, ids) == pytest.approx(math.exp(expected), rel=1e-4)


def test_it_is_worse_for_spoiled_states(tiny):
    """States of the tokens in another order predict another text."""
    ids = [1, *range(20, 50)]
    logits = tiny.logits(final_states(tiny, ids))
    best = [1, *np.argmax(logits[:-1], axis=1).tolist()]
    states = final_states(tiny, best)
    assert perplexity(tiny, best, states[::-1].copy()) > perplexity(tiny, best, states)


def test_states_and_text_must_fit(tiny):
    with pytest.raises(RangeError, match="two tokens"):
        perplexity(tiny, [1])
    with pytest.raises(RangeError, match="two tokens"):
        perplexity(tiny, [1, 2, 3], np.zeros((2, 32)))
