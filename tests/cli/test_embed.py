"""`aegis embed`, and `aegis compile` with `aegis run`: three modes of one program, one folder, bad input."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from aegis_fhe.cli import compile as compile_module
from aegis_fhe.cli import embed as embed_module
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.runtime.launch import LaunchOptions
from program.encoder.tiny_encoder import tiny_encoder
from service.stand_in import StandIn, stand_in

from .conftest import Answer
from .test_demo import OTHER, SENTENCE, one_line

Aegis = Callable[..., Answer]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Any:
    layers, program = tiny_encoder(16, mean=True)
    monkeypatch.setattr(TextEncoder, "load", lambda folder: stand_in(layers))
    for module in (compile_module, embed_module):
        monkeypatch.setattr(module, "compile_sentence_encoder", lambda encoder, **options: program)
    monkeypatch.setattr(LaunchOptions, "threads_per_worker", 1)
    return program


def answer_of(aegis: Aegis, *arguments: object) -> dict[str, Any]:
    answer = aegis(*arguments, "--json")
    assert answer.status == 0, answer.err
    facts: dict[str, Any] = json.loads(answer.out)
    return facts


@pytest.mark.usefixtures("tiny")
def test_the_modes_differ_by_noise_alone(aegis: Aegis) -> None:
    facts = {
        mode: answer_of(aegis, "embed", SENTENCE, OTHER, "--mode", mode)
        for mode in ("encrypted", "simulate", "clear")
    }
    vectors = {mode: np.array(found["embeddings"]) for mode, found in facts.items()}
    for mode, found in facts.items():
        assert found["mode"] == mode
        assert found["tokens"] == [11, 7]
        assert found["outside_ranges"] == [[], []]
        np.testing.assert_allclose(np.linalg.norm(vectors[mode], axis=1), 1.0)
        assert min(found["cosines_to_clear_model"]) > 0.9999
        assert found["similarities"][0][1] == pytest.approx(vectors[mode][0] @ vectors[mode][1])
    for noisy in ("encrypted", "simulate"):
        assert 0 < np.abs(vectors[noisy] - vectors["clear"]).max() < 1e-4
    assert facts["encrypted"]["security_bits"] < 128
    assert "security_bits" not in facts["clear"]


def test_texts_outside_the_ranges_are_named(aegis: Aegis, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound between the largest numbers of two texts: the one above it is named, also in the facts."""
    largest = [float(np.abs(StandIn.load(None).embed(list(range(n)))).max()) for n in (11, 7)]
    low, high = sorted(largest)
    assert low < high
    first = msgspec.structs.replace(tiny.ranges.layers[0], hidden=(low + high) / 2)
    ranges = msgspec.structs.replace(tiny.ranges, layers=(first, *tiny.ranges.layers[1:]))
    program = dataclasses.replace(tiny, ranges=ranges)
    monkeypatch.setattr(embed_module, "compile_sentence_encoder", lambda encoder, **options: program)
    answer = aegis("embed", SENTENCE, OTHER, "--mode", "clear", "--json")
    assert answer.status == 0
    found = json.loads(answer.out)["outside_ranges"]
    number = int(largest[1] == high)
    assert found[1 - number] == []
    (words,) = found[number]
    assert words.startswith("layer 0, attention: ")
    assert f"{high:.4g}" in words
    assert words.endswith(f"calibrated [{-(low + high) / 2:.4g}, {(low + high) / 2:.4g}]")
    assert answer.err.count("WARNING") == 1
    assert f"text {number + 1} leaves the calibrated ranges (layer 0, attention: " in answer.err


@pytest.mark.usefixtures("tiny")
def test_a_compiled_folder_runs_as_the_model_does(aegis: Aegis, tmp_path: Path) -> None:
    folder = tmp_path / "compiled"
    answer = aegis("compile", "minilm", "-o", folder, "--tokens", "16")
    assert answer.status == 0, answer.err
    assert "bootstrap" in answer.out
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "program.aegis"]
    found = answer_of(aegis, "run", folder, "--text", SENTENCE, "--mode", "clear")
    expected = answer_of(aegis, "embed", SENTENCE, "--mode", "clear")
    assert found["embeddings"] == expected["embeddings"]
    answer = aegis("run", folder, "--text", SENTENCE, "--mode", "clear")
    assert "only these eleven words" in answer.out


@pytest.mark.usefixtures("tiny")
def test_bad_input_is_one_line(aegis: Aegis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_line(aegis("embed", ""), "empty")
    one_line(aegis("embed", SENTENCE, "word " * 17), "17 tokens", "1 to 16")
    one_line(aegis("embed", SENTENCE, "--devices", "3"), "3 devices")
    one_line(aegis("run", tmp_path, "--text", SENTENCE), "model.json", "compile the model again")
    (tmp_path / "file").write_text("[]")
    one_line(aegis("compile", "minilm", "-o", tmp_path / "file"), "cannot be a folder")
    one_line(
        aegis("compile", "minilm", "-o", tmp_path / "x", "--ranges", tmp_path / "file"), "holds no ranges"
    )
    folder = tmp_path / "compiled"
    assert aegis("compile", "minilm", "-o", folder).status == 0
    monkeypatch.setattr(StandIn, "fingerprint", lambda self: "another")
    one_line(aegis("run", folder, "--text", SENTENCE), "other weights")
