"""GPT-2 as a folder: what the client computes around the layers is the model's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from aegis_fhe.errors import AegisError, RangeError, UnsupportedModuleError
from aegis_fhe.models.decoders import decoder_kind, load_decoder
from aegis_fhe.models.gpt2 import GPT2

from ..tiny_folders import save_folder, tiny_gpt2_lm, tiny_llama_lm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tiny_gpt2_lm(), tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def language(folder: Path) -> GPT2:
    return GPT2.load(folder)


def test_a_text_follows_the_public_start(language: GPT2):
    assert language.public_ids == [0]
    assert language.token_ids("w0 w3 nothing") == [0, 2, 5, 1]
    with pytest.raises(RangeError, match="empty"):
        language.token_ids("\t")


def test_embeddings_layers_and_output_make_the_model(language: GPT2):
    ids = language.token_ids("w3 w1 w4 w1 w5")
    with torch.no_grad():
        logits = language.model(torch.tensor([ids])).logits[0].double()
        embedded = language.model.transformer(torch.tensor([ids]), output_hidden_states=True).hidden_states
    np.testing.assert_allclose(language.embed(ids), embedded[0][0].numpy(), atol=1e-6)
    np.testing.assert_allclose(language.states_after(ids, 1), embedded[1][0].numpy(), atol=1e-6)
    found = language.probabilities(language.states_after(ids, 2))
    np.testing.assert_allclose(found, torch.softmax(logits, dim=1).numpy(), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_positions_end(language: GPT2):
    with pytest.raises(RangeError, match="the model knows 24 positions"):
        language.embed([0] * 25)


def test_which_model_a_folder_holds(folder: Path, tmp_path: Path):
    assert decoder_kind(str(folder)) == "gpt2"
    assert decoder_kind("smollm2") == "smollm2"
    assert decoder_kind("some.gguf") == "llama"
    llama = save_folder(tiny_llama_lm(), tmp_path)
    assert decoder_kind(str(llama)) == "llama"
    loaded = load_decoder("llama", llama)
    assert loaded.public_ids == [0]  # no start of a turn in this vocabulary
    with pytest.raises(UnsupportedModuleError, match="model type 'llama', expected 'gpt2'"):
        GPT2.load(llama)
    with pytest.raises(UnsupportedModuleError, match="'bert' is no decoder"):
        load_decoder("bert", folder)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "bert"}))
    assert decoder_kind(str(tmp_path)) is None


def test_missing_weights_are_not_made_up(folder: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(AegisError, match=r"lacks model\.safetensors"):
        GPT2.load(tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.ln_2.bias"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(AegisError, match=r"lacks transformer\.h\.1\.ln_2\.bias"):
        GPT2.load(tmp_path)
