"""The evaluation on news: what is held out, what calibrates, and that its numbers are those of its parts."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.errors import AegisError, RangeError
from aegis_fhe.models.datasets.news import load_news
from aegis_fhe.models.smollm2.news import evaluate_news

TOKENS, TEXTS = 40, 2


@pytest.fixture(scope="module")
def articles() -> list[str]:
    """Words in random order, as many letters in every article."""
    rng, words = np.random.default_rng(5), ["the", "cat", "sat", "on", "a", "mat", "and", "ate", "the", "dog"]
    return [" ".join(rng.choice(words, 12)) for _ in range(24)]


def test_exact_and_simulated_perplexity(tiny, articles, monkeypatch):
    """A program of polynomials predicts nearly as the model does, and not exactly so."""
    monkeypatch.setattr("aegis_fhe.models.smollm2.news.NOISE_BITS", 24.0)
    lines: list[str] = []
    found = evaluate_news(tiny, articles, tokens=TOKENS, texts=TEXTS, seed=1, say=lines.append)
    facts = found.facts
    assert facts["perplexity"]["exact"] > 1
    assert 0 < abs(facts["perplexity_change"]) < 0.02
    assert len(facts["changes"]) == facts["texts"] == TEXTS
    assert facts["tokens"] == TOKENS
    assert len(lines) == 1 + TEXTS
    # A text takes two articles; of all others the beginnings are shown, and of some more.
    assert facts["calibration_texts"] == len(articles) - 2 * TEXTS + 6
    again = evaluate_news(tiny, articles, tokens=TOKENS, texts=TEXTS, seed=1)
    assert again.facts == facts


def test_too_few_articles(tiny, articles):
    with pytest.raises(RangeError, match="too few articles for 2 texts of 4000 tokens"):
        evaluate_news(tiny, articles, tokens=4000, texts=2, seed=1)


def test_one_article_a_line(tmp_path):
    path = tmp_path / "news.cor"
    path.write_bytes("First caf\u00e9.\n\nSecond.\n".encode("latin-1"))
    assert load_news(path) == ["First caf\u00e9.", "Second."]
    path.write_text("\n \n")
    with pytest.raises(AegisError, match="holds no article"):
        load_news(path)
