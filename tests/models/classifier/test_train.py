"""Training of a head: it learns what can be learnt, the same every time, and stops in time."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.errors import AegisError, RangeError
from aegis_fhe.models.classifier import TextClassifier, ranges_for
from aegis_fhe.models.classifier.sentiment import LABELS, ReviewParts, train_sentiment
from aegis_fhe.models.classifier.train import PATIENCE, train_head
from aegis_fhe.models.datasets.rotten_tomatoes import Review
from aegis_fhe.models.encoder_calibration import encoder_violations
from aegis_fhe.models.text_encoder import TextEncoder

from .tiny_folder import sentences, write_classifier


def data(count: int, seed: int, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Two of eight features decide; the noise turns a share of the labels round."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 8))
    labels = ((x[:, 0] + x[:, 1] > 0.5) ^ (rng.uniform(size=count) < noise)).astype(np.int64)
    return x, labels


def test_it_learns_what_can_be_learnt():
    found = train_head(data(2000, 1), data(500, 2), labels=2, seed=0)
    assert found.accuracy(*data(1000, 3)) > 0.95
    noisy = train_head(data(2000, 1, noise=0.2), data(500, 2, noise=0.2), labels=2, seed=0)
    assert noisy.accuracy(*data(1000, 3)) > 0.9


def test_equal_seeds_give_equal_weights():
    first, second, other = (train_head(data(200, 1), data(100, 2), labels=2, seed=s) for s in (0, 0, 1))
    x = data(50, 3)[0]
    assert np.array_equal(first.logits(x), second.logits(x))
    assert not np.array_equal(first.logits(x), other.logits(x))


def test_it_stops_when_validation_no_longer_gains():
    """Labels by chance: every round after the first few learns the training texts by heart."""
    found = train_head(data(100, 1, noise=0.5), data(100, 2, noise=0.5), labels=2, seed=0)
    assert found.rounds == found.best_round + PATIENCE


def test_no_text_is_refused():
    with pytest.raises(RangeError, match="training needs texts"):
        train_head(data(0, 1), data(5, 2), labels=2, seed=0)


def test_parts_share_no_review():
    reviews = [Review(str(i), i % 2) for i in range(50)]
    parts = ReviewParts.of(reviews, test=10)
    texts = [review.text for part in (parts.train, parts.validation, parts.test) for review in part]
    assert [len(parts.train), len(parts.validation), len(parts.test)] == [30, 10, 10]
    assert sorted(texts, key=int) == [review.text for review in reviews]
    assert ReviewParts.of(reviews, test=10) == parts
    with pytest.raises(AegisError, match="50 reviews are too few"):
        ReviewParts.of(reviews, test=20)


def test_the_folder_is_a_classifier_with_ranges(tmp_path):
    """The trained head on the frozen encoder, its accuracy as said, and every review to learn from inside."""
    encoder = TextEncoder.load(write_classifier(tmp_path / "base"))
    reviews = [Review(text, int("w1 " in text or "w2 " in text)) for text in sentences(60)]
    parts = ReviewParts.of(reviews, test=12)
    facts = train_sentiment(encoder, parts, tmp_path / "made" / "sentiment", seed=1)
    classifier = TextClassifier.load(tmp_path / "made" / "sentiment")
    assert classifier.labels == LABELS
    assert TextEncoder.load(classifier.folder).fingerprint() == encoder.fingerprint()
    right = 0
    ranges = ranges_for(classifier, [])
    layers, head = classifier.parts()
    for review in parts.test:
        hidden = classifier.embed(classifier.token_ids(review.text))
        right += classifier.label(classifier.logits(hidden)) == LABELS[review.label]
    for review in parts.train:
        hidden = classifier.embed(classifier.token_ids(review.text))
        assert not [w for w in encoder_violations(layers, ranges, hidden, head=head) if "head" in w]
    assert facts["accuracy"]["test"] == pytest.approx(right / len(parts.test))
    assert facts["reviews"] == {"train": 36, "validation": 12, "test": 12}
    (tmp_path / "file").write_text("")
    with pytest.raises(AegisError, match="cannot be written"):
        train_sentiment(encoder, parts, tmp_path / "file", seed=1)
