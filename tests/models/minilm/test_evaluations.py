"""Both evaluations on a tiny encoder: what they count and compare, against the same from its parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from aegis_fhe.models.datasets.lee import Lee50
from aegis_fhe.models.datasets.rotten_tomatoes import Review
from aegis_fhe.models.minilm import sentences
from aegis_fhe.models.minilm.lee50 import evaluate_lee50
from aegis_fhe.models.minilm.rotten_tomatoes import evaluate_rotten_tomatoes
from aegis_fhe.models.minilm.sentences import SentenceModels, unit

from .words import random_texts, sentence_models


@pytest.fixture(scope="module")
def models() -> SentenceModels:
    return sentence_models()


def test_texts_are_cut_and_keep_their_last_token(models):
    long = " ".join(str(i % 16) for i in range(30))
    assert models.hidden(long).shape == (16, 32)
    assert models.encoder.token_ids(long, limit=16) == [*range(15), 29 % 16]
    assert models.encoder.token_ids("3 4", limit=16) == [3, 4]


def test_lee50(models):
    documents, human = random_texts(6, seed=1), np.random.default_rng(2).uniform(size=(6, 6))
    said: list[str] = []
    found = evaluate_lee50(models, Lee50(documents, human), seed=4, say=said.append)
    exact = np.array([models.exact(models.hidden(document)) for document in documents])
    upper = np.triu_indices(6, 1)
    expected = spearmanr((exact @ exact.T)[upper], human[upper]).statistic
    facts = found.facts
    assert facts["spearman"]["exact"] == pytest.approx(expected)
    assert facts["spearman_change"] == facts["spearman"]["simulated"] - facts["spearman"]["exact"]
    assert 0.999 < facts["cosine_to_exact_min"] < facts["cosine_of_simulations_min"] < 1
    assert (facts["documents"], facts["max_tokens"]) == (6, 16)
    assert facts["cut"] == sum(len(document.split()) >= 16 for document in documents) > 0
    assert found.params is models.program.params


def test_rotten_tomatoes(models):
    """Labels that embeddings show: reviews of low numbers against reviews of high ones."""
    rng = np.random.default_rng(3)
    reviews = [
        Review(" ".join(map(str, rng.integers(8 * label, 8 * label + 8, 9))), int(label))
        for label in rng.integers(0, 2, 60)
    ]
    facts = evaluate_rotten_tomatoes(models, reviews[:40], reviews[40:], seed=1).facts
    accuracy = facts["accuracy"]
    assert accuracy["exact"] > 0.7
    assert facts["points_change"] == pytest.approx(100 * (accuracy["simulated"] - accuracy["exact"]))
    assert abs(facts["points_change"]) <= 5 * accuracy["changed"]
    assert 0.99 < facts["cosine_to_exact_min"] <= facts["cosine_to_exact_median"] < 1
    assert (facts["train"], facts["test"]) == (40, 20)
    assert facts["outside_ranges"] == {"train": 0, "test": 0}


def test_texts_outside_are_counted_and_stop_nothing(models, monkeypatch):
    """Embeddings a thousand times too large: polynomials explode, the vector becomes zero."""
    monkeypatch.setattr(
        sentences.SentenceModels, "hidden", lambda self, text: (1e3 if "15" in text else 1.0) * ONE
    )
    reviews = [Review(text, label) for text, label in (("1 15", 0), ("2", 1), ("3 15", 1), ("4 15", 0))]
    facts = evaluate_rotten_tomatoes(models, [reviews[1], *reviews[:2]], reviews[2:], seed=1).facts
    assert facts["outside_ranges"] == {"train": 1, "test": 2}
    assert facts["cosine_to_exact_min"] < 0.9
    np.testing.assert_array_equal(unit(np.array([np.nan, 1.0])), np.zeros(2))
    np.testing.assert_allclose(unit(np.array([3.0, 4.0])), [0.6, 0.8])


ONE = sentence_models().hidden("1 2 3 4 5 6 7 8")
