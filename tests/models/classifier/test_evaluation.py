"""The classifier's evaluation on a tiny model: what it counts, against the same from its parts."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.models.classifier import TextClassifier
from aegis_fhe.models.classifier.evaluation import evaluate_classifier
from aegis_fhe.models.datasets.rotten_tomatoes import Review
from program.encoder.tiny_classifier import tiny_classifier, tiny_parts

from .tiny_folder import sentences, write_classifier


def test_accuracies_and_errors(tmp_path):
    classifier = TextClassifier.load(write_classifier(tmp_path / "tiny"))
    reviews = [Review(text, index % 2) for index, text in enumerate(sentences(20))]
    _, _, ranges = tiny_parts()
    found = evaluate_classifier(classifier, ranges, reviews, seed=1, program=tiny_classifier())
    exact = [
        int(np.argmax(classifier.logits(classifier.embed(classifier.token_ids(review.text)))))
        for review in reviews
    ]
    right = np.mean([label == review.label for label, review in zip(exact, reviews, strict=True)])
    facts = found.facts
    assert facts["accuracy"]["exact"] == pytest.approx(right)
    assert abs(facts["points_change"]) <= 5 * facts["changed"]
    assert 0 < facts["logit_error_median"] <= facts["logit_error_max"] < 2e-3
    assert (facts["test"], facts["max_tokens"]) == (20, 16)
    assert found.params is tiny_classifier().params
