"""Perplexity of a text: how well its tokens are predicted from those before them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from aegis_fhe.errors import RangeError
from aegis_fhe.models.smollm2.checkpoint import SmolLM2

Array = NDArray[np.float64]

_ROWS = 128  # of logits in memory at a time


def final_states(language: SmolLM2, ids: Sequence[int]) -> Array:
    """The normalised last hidden states [tokens, features] of the model itself, in float32."""
    with torch.no_grad():
        states: torch.Tensor = language.model.model(torch.tensor([list(ids)])).last_hidden_state[0]
    return states.double().numpy()


def perplexity(language: SmolLM2, ids: Sequence[int], states: Array | None = None) -> float:
    """exp(-mean log p(token i + 1 | tokens 0..i)) over a text of at least two tokens.

    states: the normalised last hidden states [tokens, features] to predict from, for example simulated ones;
    by default the model's own. Raises RangeError when they do not fit the text.
    """
    states = final_states(language, ids) if states is None else states
    if len(ids) < 2 or len(states) != len(ids):
        raise RangeError(f"perplexity needs two tokens or more and a state each: {len(ids)}, {len(states)}")
    total, following = 0.0, np.array(ids[1:])
    for start in range(0, len(following), _ROWS):
        chosen = following[start : start + _ROWS]
        scores = language.logits(states[start : start + len(chosen)])
        total += float(np.sum(logsumexp(scores, axis=1) - scores[np.arange(len(chosen)), chosen]))
    return math.exp(total / len(following))
