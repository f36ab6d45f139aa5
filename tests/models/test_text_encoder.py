"""Checkpoints in Hugging Face format: what is missing or foreign is said, what is there is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from aegis_fhe.errors import AegisError, RangeError, UnsupportedModuleError
from aegis_fhe.models import TextEncoder
from aegis_fhe.program import capture_attention

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights and a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    path = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_attention_heads=4,
        num_hidden_layers=2,
        intermediate_size=16,
        max_position_embeddings=12,
    )
    BertModel(config).save_pretrained(path)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(path / "tokenizer.json"))
    return path


@pytest.fixture(scope="module")
def encoder(folder: Path) -> TextEncoder:
    return TextEncoder.load(folder)


def copied(folder: Path, target: Path) -> Path:
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def test_words_become_tokens_and_embeddings(encoder):
    assert encoder.tokens("the cat flew") == ["[CLS]", "the", "cat", "[UNK]", "[SEP]"]
    assert encoder.token_ids("the cat flew") == [2, 4, 5, 1, 3]
    embedded = encoder.embed([2, 4, 5, 3])
    assert embedded.shape == (4, encoder.features) == (4, 32)
    np.testing.assert_allclose(embedded.mean(axis=1), 0.0, atol=1e-6)


def test_reference_is_the_sub_layer_of_the_model(encoder):
    """The model's own hidden states after its first attention."""
    ids = encoder.token_ids("the cat sat the cat")
    seen: list[torch.Tensor] = []
    hook = encoder.attention().register_forward_hook(lambda module, args, out: seen.append(out[0]))
    with torch.no_grad():
        encoder.model(input_ids=torch.tensor([ids]))
    hook.remove()
    found = encoder.reference(encoder.embed(ids))
    np.testing.assert_allclose(found, seen[0].reshape(found.shape).numpy(), atol=1e-5)


def test_both_attentions_can_be_captured(encoder):
    first, second = (
        capture_attention(encoder.attention(i), torch.zeros(1, 8, encoder.features)) for i in (0, 1)
    )
    assert first.heads == second.heads == 4
    assert not np.array_equal(first.query.weight, second.query.weight)


def test_fingerprint_names_the_weights(encoder, folder):
    assert TextEncoder.load(folder).fingerprint() == encoder.fingerprint()
    other = TextEncoder.load(folder)
    with torch.no_grad():
        other.model.embeddings.word_embeddings.weight[5, 7] += 1e-6
    assert other.fingerprint() != encoder.fingerprint()


def test_the_name_is_the_folder(encoder, folder):
    assert encoder.name == folder.name


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_files_are_named(folder, tmp_path, name):
    (copied(folder, tmp_path) / name).unlink()
    with pytest.raises(AegisError, match=f"lacks {name}: expected a model folder"):
        TextEncoder.load(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AegisError, match="nowhere is neither a folder nor a repository"):
        TextEncoder.load(tmp_path / "nowhere")


@pytest.mark.parametrize("kind", ["gpt2", None])
def test_other_model_types_are_refused(folder, tmp_path, kind):
    config = copied(folder, tmp_path) / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": kind}))
    with pytest.raises(UnsupportedModuleError, match=f"model type {kind!r} is not supported yet"):
        TextEncoder.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("model.safetensors", b"no weights"),
        ("tokenizer.json", b"{}"),
    ],
)
def test_damaged_files_are_refused_in_one_line(folder, tmp_path, name, content):
    (copied(folder, tmp_path) / name).write_bytes(content)
    with pytest.raises(AegisError):
        TextEncoder.load(tmp_path)


@pytest.mark.parametrize("lost", ["encoder.layer.0.attention.self.key.weight", "embeddings.LayerNorm.bias"])
def test_lost_weights_are_not_made_up(folder, tmp_path, lost):
    """A library that fills a gap with random numbers would give a wrong program without a word."""
    from safetensors.torch import load_file, save_file

    file = copied(folder, tmp_path) / "model.safetensors"
    weights = {name: tensor.clone() for name, tensor in load_file(file).items()}
    del weights[lost]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(AegisError, match=lost):
        TextEncoder.load(tmp_path)


def test_empty_and_too_long_texts_are_refused(encoder):
    for text in ("", "  \n"):
        with pytest.raises(RangeError, match="text is empty"):
            encoder.token_ids(text)
    with pytest.raises(RangeError, match="has 13 tokens, the model knows 12 positions"):
        encoder.embed([4] * 13)
    assert encoder.embed([4] * 12).shape == (12, 32)
