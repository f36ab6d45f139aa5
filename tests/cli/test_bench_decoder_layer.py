"""`aegis bench decoder-layer` on a tiny model and ring: calibrated, encrypted, bootstrapped, compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from aegis_fhe.bench import provenance
from models.tiny_gguf import tiny_model, write_gguf

TOKENS = 16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("gguf")
    """Its last layer's scores are narrow, its first one's are as wide as random weights make them."""
    path: Path = tmp_path_factory.mktemp("layer") / "tiny.gguf"
    tiny = tiny_model()
    with torch.no_grad():
        tiny.model.layers[1].self_attn.q_proj.weight *= 0.25
    write_gguf(path, tiny)
    return path


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random words, a token a byte and more than TOKENS of them in each line."""
    rng = np.random.default_rng(8)
    words = ["".join(chr(97 + c) for c in rng.integers(0, 26, 6)) for _ in range(200)]
    path: Path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("\n".join(" ".join(words[i : i + 5]) for i in range(0, 200, 5)))
    return path


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "decoder-layer.jsonl"
    monkeypatch.setattr(provenance, "default_results", lambda benchmark: path)
    return path


def test_two_texts(aegis, results, model, texts):
    """The errors of the parts are those of the whole, and far below one another's size and the result's."""
    options = ("--texts", texts, "--model", model, "--layer", 1, "--tokens", TOKENS, "--calibration", 30)
    answer = aegis("bench", "decoder-layer", "--n", 10, *options, "--json")
    assert answer.status == 0, answer.err
    facts = json.loads(answer.out)
    assert (facts["layer"], facts["tokens"], facts["log_n"]) == (1, TOKENS, 10)
    assert facts["bootstraps"] > 3
    first, second = facts["texts"]
    assert first["rms"] != second["rms"]
    for text in facts["texts"]:
        assert 2.0**-40 < text["noise_error"] < 1e-3
        assert text["error"] < text["approximation_error"] + text["noise_error"] < 1e-2
        assert text["processor_seconds"] > 0
        assert sum(text["stages"].values()) == pytest.approx(text["seconds"])
        assert {"refresh", "qkv", "attend"} <= set(text["stages"])
    (row,) = [json.loads(line) for line in results.read_text().splitlines()]
    assert row["texts"] == facts["texts"]
    assert {"commit", "date", "hardware", "versions", "security_bits"} <= set(row)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "needs --texts"),
        (("--n", 8), "takes 9 to 16"),
        (("--texts", "texts", "--tokens", 60), "fewer tokens"),
        (("--texts", "texts", "--layer", 2, "--tokens", 8), "layers 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused(aegis, results, model, texts, options, message):
    named = [texts if option == "texts" else option for option in options]
    answer = aegis("bench", "decoder-layer", "--model", model, "--calibration", 30, *named)
    assert answer.status == 2
    assert message in answer.err
    assert not results.exists()
