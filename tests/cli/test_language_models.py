"""`aegis compile` of a tiny GPT-2 and `aegis run` of its folder: three modes of one program, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.models import decoder_recipe
from aegis_fhe.runtime.launch import LaunchOptions
from aegis_fhe.service.decoder_file import open_decoder
from models.tiny_folders import sample_texts, save_folder, tiny_gpt2_lm

from .conftest import Answer
from .test_demo import one_line

Aegis = Callable[..., Answer]
TEXTS = sample_texts(2, 9, seed=8)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint, sample texts beside it, and a ring as small as it is."""
    monkeypatch.setattr(decoder_recipe.presets, "n16", lambda left: presets.insecure(9, levels_left=left))
    monkeypatch.setattr(LaunchOptions, "threads_per_worker", 1)
    (tmp_path / "model").mkdir()
    (tmp_path / "samples.txt").write_text("\n".join(sample_texts(40, 15)))
    return save_folder(tiny_gpt2_lm(), tmp_path / "model")


def compiled(aegis: Aegis, model: Path, *options: object) -> tuple[Path, Answer]:
    folder = model.parent / "compiled"
    samples = model.parent / "samples.txt"
    answer = aegis("compile", model, "-o", folder, "--tokens", 16, "--calibration", samples, *options)
    return folder, answer


def ran(aegis: Aegis, folder: Path, *options: object) -> dict[str, Any]:
    texts = [part for text in TEXTS for part in ("--text", text)]
    answer = aegis("run", folder, *texts, "--json", *options)
    assert answer.status == 0, answer.err
    facts: dict[str, Any] = json.loads(answer.out)
    return facts


def test_the_modes_predict_what_pytorch_does(aegis: Aegis, model: Path) -> None:
    folder, answer = compiled(aegis, model)
    assert answer.status == 0, answer.err
    assert "model: 2 of 2 layers" in answer.out
    assert "bootstraps of each layer" in answer.out
    errors = {}
    for mode in ("clear", "simulate", "encrypted"):
        kept = ("--keep", folder.parent / "kept") if mode == "encrypted" else ()
        facts = ran(aegis, folder, "--mode", mode, "--seed", "tiny", *kept)
        assert (facts["mode"], facts["tokens"], facts["layers"]) == (mode, [10, 10], 2)
        for result in facts["texts"]:
            assert result["agrees"]
            assert result["next"][0]["id"] == result["clear_next"][0]["id"]
            assert result["next"][0]["token"].startswith(("w", "<", "["))
            assert 0 < result["hidden_error"] < 5e-3
            assert result["largest_probability_difference"] < 1e-3
            likely = [one["probability"] for one in result["next"]]
            assert likely == sorted(likely, reverse=True)
        errors[mode] = facts["texts"][0]["hidden_error"]
    assert facts["seconds_by_stage"]["refresh"] > 0
    assert len(facts["result_digests"]) == 2
    assert len(set(errors.values())) == 3
    again = aegis("worker", folder.parent / "kept", "--json")
    assert again.status == 0, again.err
    assert json.loads(again.out)["result_digests"] == facts["result_digests"]
    one_line(aegis("worker", folder.parent / "kept", "--devices", 2), "runs on one device")


def test_the_first_layers_alone(aegis: Aegis, model: Path) -> None:
    folder, answer = compiled(aegis, model, "--layers", 1)
    assert answer.status == 0, answer.err
    facts = ran(aegis, folder, "--mode", "clear")
    assert (facts["layers"], facts["model_layers"]) == (1, 2)
    assert all(result["agrees"] for result in facts["texts"])
    with open_decoder(folder / "program.aegis") as program:
        assert len(program.layers) == 1
    shown = aegis("run", folder, "--text", TEXTS[0], "--mode", "clear")
    assert "in PyTorch" in shown.out
    assert "1 of 2 layers" in " ".join(shown.out.split())


def test_bad_input(aegis: Aegis, model: Path) -> None:
    folder, answer = compiled(aegis, model, "--layers", 3)
    one_line(answer, "3 layers: the model has 2")
    one_line(compiled(aegis, model, "--ranges", model / "config.json")[1], "--ranges is for encoders")
    one_line(aegis("compile", "minilm", "-o", folder, "--layers", 1), "--layers is for language models")
    folder, answer = compiled(aegis, model)
    assert answer.status == 0
    long = " ".join(["w1"] * 16)
    one_line(aegis("run", folder, "--text", long), "has 17 tokens, the program was compiled for 2 to 16")
    one_line(aegis("run", folder, "--text", "w1", "--devices", 2), "runs on one device")
    other = tiny_gpt2_lm()
    other.transformer.h[1].mlp.c_fc.weight.data[0, 0] += 0.1
    save_folder(other, model)
    one_line(aegis("run", folder, "--text", "w1 w2"), "holds other weights than")
    data = bytearray((folder / "program.aegis").read_bytes())
    data[-2000] ^= 1
    (folder / "program.aegis").write_bytes(data)
    save_folder(tiny_gpt2_lm(), model)
    one_line(aegis("run", folder, "--text", "w1 w2", "--mode", "clear"), "damaged")
