"""A classifier's folder from `aegis calibrate` and `aegis compile` to `aegis run`; `aegis train`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.cli import evaluate as evaluate_module
from aegis_fhe.cli import train as train_module
from aegis_fhe.models.classifier import TextClassifier
from aegis_fhe.models.classifier.sentiment import ReviewParts
from aegis_fhe.models.datasets.rotten_tomatoes import Review
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.runtime.launch import LaunchOptions
from models.classifier.tiny_folder import LABELS, changed, sentences, without, write_classifier
from program.encoder.tiny_encoder import plan

from .conftest import Answer
from .test_demo import one_line
from .test_embed import answer_of

Aegis = Callable[..., Answer]

TEXTS = ("--text", "w1 w2 w3 w4 w5 w6 w7 w8", "--text", "w9")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint; programs are compiled for a ring without security."""
    insecure = plan()
    monkeypatch.setattr(presets, "n16", lambda: insecure)
    monkeypatch.setattr(LaunchOptions, "threads_per_worker", 1)
    (tmp_path / "samples.txt").write_text("\n".join(sentences(60)))
    return write_classifier(tmp_path / "tiny")


def check_labels(facts: dict[str, Any], classifier: TextClassifier, bound: float) -> None:
    """Logits within the bound of PyTorch's, which are those of the checkpoint; labels of the largest."""
    texts = TEXTS[1::2]
    hidden = [classifier.embed(classifier.token_ids(text)) for text in texts]
    expected = np.array([classifier.logits(one) for one in hidden])
    assert facts["names"] == list(LABELS)
    assert facts["tokens"] == [10, 3]
    assert facts["outside_ranges"] == [[], []]
    np.testing.assert_allclose(facts["logits_of_clear_model"], expected)
    assert np.abs(np.array(facts["logits"]) - expected).max() == pytest.approx(facts["max_abs_error"])
    assert 0 < facts["max_abs_error"] < bound
    for whose in ("", "_of_clear_model"):
        largest = np.argmax(facts[f"logits{whose}"], axis=1)
        assert facts[f"labels{whose}"] == [LABELS[label] for label in largest]


def test_compile_and_run_in_all_modes(aegis: Aegis, folder: Path, tmp_path: Path) -> None:
    compiled, samples = tmp_path / "compiled", tmp_path / "samples.txt"
    answer = aegis("compile", folder, "-o", compiled, "--tokens", 16, "--calibration", samples)
    assert answer.status == 0, answer.err
    assert "blame" in answer.out
    classifier = TextClassifier.load(folder)
    logits = {}
    for mode in ("encrypted", "simulate", "clear"):
        facts = answer_of(aegis, "run", compiled, *TEXTS, "--mode", mode)
        check_labels(facts, classifier, 2e-3)
        logits[mode] = np.array(facts["logits"])
    for noisy in ("encrypted", "simulate"):
        assert 0 < np.abs(logits[noisy] - logits["clear"]).max() < 1e-4
    answer = aegis("run", compiled, *TEXTS, "--mode", "clear")
    assert "Labels, clear: blame, praise, neither" in answer.out
    assert f"{logits['clear'][0][0]:.4f}" in answer.out


def test_two_workers_give_the_same_bits(aegis: Aegis, folder: Path, tmp_path: Path) -> None:
    """The second one has nothing to do after the last layer's keys and values."""
    compiled = tmp_path / "compiled"
    aegis("compile", folder, "-o", compiled, "--tokens", 16, "--calibration", tmp_path / "samples.txt")
    found = [
        answer_of(aegis, "run", compiled, *TEXTS, "--seed", "word", "--devices", devices)
        for devices in (1, 2)
    ]
    assert found[0]["result_digests"] == found[1]["result_digests"]
    assert found[0]["logits"] == found[1]["logits"]
    assert found[1]["bytes_between_devices"] == found[1]["predicted_bytes_between_devices"] > 0


def test_ranges_report_the_head(aegis: Aegis, folder: Path, tmp_path: Path) -> None:
    ranges, compiled = tmp_path / "ranges.json", tmp_path / "compiled"
    answer = aegis("calibrate", tmp_path / "samples.txt", "-o", ranges, "--model", folder, "--tokens", 16)
    assert answer.status == 0, answer.err
    assert "head: tanh input" in answer.out
    found = json.loads(ranges.read_text())
    assert set(found["ranges"]["head"]) == {"pooler", "logits"}
    assert set(found["near_bounds"]["head"]) == {"tanh input", "logits"}
    assert min(count["extreme"] for count in found["near_bounds"]["head"].values()) >= 1
    found["ranges"]["head"]["logits"] = 1e-3
    ranges.write_text(json.dumps(found))
    assert aegis("compile", folder, "-o", compiled, "--tokens", 16, "--ranges", ranges).status == 0
    answer = aegis("run", compiled, "--text", "w1 w2", "--mode", "clear", "--json")
    (words,) = json.loads(answer.out)["outside_ranges"]
    assert words[0].startswith("head: ")
    assert "logits outside" in words[0]
    assert "text 1 leaves the calibrated ranges (head: " in answer.err


def test_bad_folders_are_one_line(aegis: Aegis, folder: Path, tmp_path: Path) -> None:
    compiled = tmp_path / "compiled"
    one_line(aegis("compile", folder, "-o", compiled), "no ranges.json", "give sample text")
    changed(folder, problem_type="multi_label_classification")
    one_line(aegis("compile", folder, "-o", compiled), "multi_label_classification")
    changed(folder, problem_type=None, architectures=["BertForTokenClassification"])
    one_line(aegis("compile", folder, "-o", compiled), "BertForTokenClassification", "BertModel")
    without(changed(folder, architectures=["BertForSequenceClassification"]), "classifier.weight")
    one_line(aegis("compile", folder, "-o", compiled), "lacks classifier.weight")


@pytest.fixture
def reviews(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[Review]:
    """Sixty reviews, of which twelve test; the packaged encoder is the tiny one."""
    found = [Review(text, index % 2) for index, text in enumerate(sentences(60))]
    real = TextEncoder.load
    monkeypatch.setattr(TextEncoder, "load", lambda given=None: real(folder if given is None else given))
    for module in (train_module, evaluate_module):
        monkeypatch.setattr(module, "load_reviews", lambda: found)
        monkeypatch.setattr(module, "ReviewParts", SmallParts)
    return found


class SmallParts(ReviewParts):
    @classmethod
    def of(cls, reviews: list[Review], *, test: int = 12) -> ReviewParts:
        return ReviewParts.of(reviews, test=test)


@pytest.mark.usefixtures("reviews")
def test_what_train_makes_compiles_and_is_evaluated(aegis: Aegis, tmp_path: Path) -> None:
    made, compiled = tmp_path / "sentiment", tmp_path / "compiled"
    facts = answer_of(aegis, "train", "-o", made)
    assert facts["reviews"] == {"train": 36, "validation": 12, "test": 12}
    assert sorted(path.name for path in made.iterdir()) == [
        "config.json",
        "model.safetensors",
        "ranges.json",
        "tokenizer.json",
    ]
    assert aegis("compile", made, "-o", compiled, "--tokens", 16).status == 0
    found = answer_of(aegis, "run", compiled, *TEXTS, "--mode", "clear")
    assert found["names"] == ["negative", "positive"]
    assert found["max_abs_error"] < 2e-3
    table = aegis("train", "-o", made)
    assert "accuracy, validation" in table.out
    shown = answer_of(aegis, "evaluate", "sentiment", "--limit", 5)
    assert (shown["test"], shown["evaluation"]) == (5, "sentiment")
    assert shown["logit_error_max"] < 5e-3
