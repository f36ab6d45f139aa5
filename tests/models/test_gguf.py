"""GGUF checkpoints: the same model and tokens come out; damaged, foreign and missing files are named."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from aegis_fhe.errors import AegisError, UnsupportedModuleError
from aegis_fhe.models.gguf_checkpoint import GgufCheckpoint
from aegis_fhe.models.gguf_llama import llama_from_gguf, to_half_split
from aegis_fhe.models.gguf_tokenizer import tokenizer_from_gguf

from .tiny_gguf import byte_tokens, tiny_llama, tiny_model, write_gguf

needs_gguf = pytest.mark.skipif(
    importlib.util.find_spec("gguf") is None, reason="the package gguf is missing"
)
IDS = torch.tensor([[1, 5, 9, 200, 33, 7, 7, 250]])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("gguf")
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path, tiny_model())
    return path


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits[0]


@needs_gguf
@pytest.mark.parametrize("tied", [True, False])
def test_the_model_comes_out_as_it_went_in(tmp_path, tied):
    """Same logits as the transformers model that was written, output weights tied or not."""
    model = tiny_llama(tied=tied, vocabulary=len(byte_tokens()[0]))
    write_gguf(tmp_path / "m.gguf", model)
    read = llama_from_gguf(GgufCheckpoint.open(tmp_path / "m.gguf"))
    assert type(read) is type(model)
    assert torch.equal(logits(read), logits(model))


@needs_gguf
def test_quantised_weights_are_read_within_their_steps(tmp_path):
    """Q8_0 rounds to 1/127 of a block's largest weight, Q4_1 to 1/15 of its spread; both round to nearest."""
    model = tiny_model()
    write_gguf(tmp_path / "m.gguf", model, quantised=True)
    read = llama_from_gguf(GgufCheckpoint.open(tmp_path / "m.gguf")).state_dict()
    for name, steps in (("self_attn.q_proj", 127), ("mlp.up_proj", 15)):
        key = f"model.layers.1.{name}.weight"
        exact, found = model.state_dict()[key], read[key]
        assert not torch.equal(exact, found)
        assert (exact - found).abs().max() <= exact.abs().max() * 2 / steps


def test_rotating_neighbours_and_rotating_halves_give_the_same_scores():
    """The definition of both conventions, two heads of four features, one angle per pair."""
    rng = np.random.default_rng(1)
    weight, x = rng.normal(size=(8, 3)).astype(np.float32), rng.normal(size=3)
    angles = np.array([0.3, 1.1])
    neighbours = (weight @ x).reshape(2, 2, 2)  # head, pair, member
    turned = (neighbours[..., 0] + 1j * neighbours[..., 1]) * np.exp(1j * angles)
    halves = (to_half_split(weight, 2) @ x).reshape(2, 2, 2)  # head, half, pair
    again = (halves[:, 0] + 1j * halves[:, 1]) * np.exp(1j * angles)
    np.testing.assert_allclose(again, turned, atol=1e-12)


@needs_gguf
def test_text_becomes_tokens_and_text_again(file):
    """Words by merges, digits one by one, special tokens by name only, any bytes there and back."""
    tokenizer = tokenizer_from_gguf(GgufCheckpoint.open(file))
    assert tokenizer.encode("the the cat 42").tokens == ["the", "Ġthe", "Ġ", "cat", "Ġ", "4", "2"]
    assert tokenizer.encode("<|im_start|>cat").ids[0] == 1
    assert tokenizer.decode(tokenizer.encode("caté ☃ 7").ids) == "caté ☃ 7"


@needs_gguf
def test_foreign_files_are_named(tmp_path):
    write_gguf(tmp_path / "g.gguf", tiny_model(), architecture="gemma", pre="llama-bpe")
    checkpoint = GgufCheckpoint.open(tmp_path / "g.gguf")
    with pytest.raises(UnsupportedModuleError, match="gemma"):
        llama_from_gguf(checkpoint)
    with pytest.raises(UnsupportedModuleError, match="llama-bpe"):
        tokenizer_from_gguf(checkpoint)


@needs_gguf
@pytest.mark.parametrize("kept", [0, 3, 40, 0.3, 0.9])
def test_truncated_files_are_refused(file, tmp_path, kept):
    data = file.read_bytes()
    end = kept if isinstance(kept, int) else int(kept * len(data))
    (tmp_path / "cut.gguf").write_bytes(data[:end])
    with pytest.raises(AegisError, match="damaged"):
        GgufCheckpoint.open(tmp_path / "cut.gguf")


@needs_gguf
def test_what_a_file_lacks_is_named(file, tmp_path):
    checkpoint = GgufCheckpoint.open(file)
    with pytest.raises(AegisError, match=r"output_norm.*shape"):
        checkpoint.tensor("output_norm.weight", (31,))
    with pytest.raises(AegisError, match=r"lacks the tensor blk\.9"):
        checkpoint.tensor("blk.9.attn_q.weight", (1, 1))
    with pytest.raises(AegisError, match=r"lacks the metadata llama\.nothing"):
        checkpoint.metadata("llama.nothing")
    with pytest.raises(AegisError, match="does not exist"):
        GgufCheckpoint.open(tmp_path / "nothing.gguf")


def test_without_the_reader_the_cure_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AegisError, match=r"pip install 'aegis-fhe\[gguf\]'"):
        GgufCheckpoint.open(tmp_path / "m.gguf")
