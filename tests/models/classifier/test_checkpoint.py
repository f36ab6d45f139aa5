"""Classifiers in Hugging Face format: read as PyTorch computes them; what is missing or foreign is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aegis_fhe.errors import AegisError, CompatibilityError, RangeError, UnsupportedModuleError
from aegis_fhe.models.classifier import TextClassifier, compile_classifier, ranges_for
from aegis_fhe.models.classifier.recipe import RANGES
from aegis_fhe.models.minilm.recipe import ShippedRanges, calibrate
from aegis_fhe.models.ranges_file import write_ranges
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.models.text_model import load_text_model
from aegis_fhe.program.encoder import FirstToken

from .tiny_folder import LABELS, changed, sentences, without, write_classifier


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_classifier(tmp_path / "tiny")


def test_logits_and_labels_are_the_models(folder):
    found = load_text_model(folder)
    assert isinstance(found, TextClassifier)
    assert (found.labels, found.name) == (LABELS, "tiny")
    ids = found.token_ids("w1 w7 w7 unknown")
    with torch.no_grad():
        expected = found.classifier(torch.tensor([ids])).logits[0].double().numpy()
    np.testing.assert_allclose(found.logits(found.embed(ids)), expected, atol=1e-6)
    assert found.label(expected) == LABELS[int(expected.argmax())]


def test_parts_compute_the_logits(folder):
    classifier = TextClassifier.load(folder)
    layers, head = classifier.parts()
    assert isinstance(head, FirstToken)
    assert head.labels == LABELS
    embedded = hidden = classifier.embed(classifier.token_ids("w3 w9"))
    for layer in layers:
        hidden = layer.evaluate(hidden)
    np.testing.assert_allclose(head.evaluate(hidden), classifier.logits(embedded), atol=1e-5)


def test_one_number_is_no_label(tmp_path):
    classifier = TextClassifier.load(write_classifier(tmp_path / "score", ("stars",)))
    assert classifier.label(np.array([3.5])) is None
    several = changed(write_classifier(tmp_path / "scores"), problem_type="regression")
    assert TextClassifier.load(several).label(np.array([3.5, 1.0, 2.0])) is None


def test_the_fingerprint_covers_the_head(folder):
    first, second = TextClassifier.load(folder), TextClassifier.load(folder)
    assert first.fingerprint() == second.fingerprint() != TextEncoder.load(folder).fingerprint()
    with torch.no_grad():
        second.classifier.classifier.bias[1] += 1e-6
    assert first.fingerprint() != second.fingerprint()


@pytest.mark.parametrize(
    "lost",
    ["classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.embeddings.LayerNorm.bias"],
)
def test_lost_weights_are_not_made_up(folder, lost):
    """The library would fill the gap with random numbers, which classify at random."""
    with pytest.raises(AegisError, match=f"lacks {lost}"):
        TextClassifier.load(without(folder, lost))


def test_other_architectures_and_problems_are_refused(folder):
    with pytest.raises(UnsupportedModuleError, match="classifier: problem_type 'multi_label_classification'"):
        TextClassifier.load(changed(folder, problem_type="multi_label_classification"))
    with pytest.raises(UnsupportedModuleError, match=r"\['BertForTokenClassification'\] is no classifier"):
        TextClassifier.load(changed(folder, architectures=["BertForTokenClassification"]))
    with pytest.raises(UnsupportedModuleError, match=r"BertForTokenClassification'\] is not supported"):
        load_text_model(folder)
    for named in (["BertModel"], ["BertForMaskedLM"], None):
        assert type(load_text_model(changed(folder, architectures=named))) is TextEncoder
    with pytest.raises(UnsupportedModuleError, match="model type 'gpt2'"):
        load_text_model(changed(folder, model_type="gpt2"))
    with pytest.raises(AegisError, match="no classifier is packaged"):
        TextClassifier.load()


def test_ranges_are_those_of_the_folder_or_of_sample_text(folder):
    classifier = TextClassifier.load(folder)
    with pytest.raises(RangeError, match=f"no {RANGES}: give sample text"):
        ranges_for(classifier, [])
    found = ranges_for(classifier, sentences(20), tokens=16)
    assert found.head is not None
    assert found.head.logits is not None
    write_ranges(folder / RANGES, ShippedRanges(classifier.fingerprint(), 16, found))
    assert ranges_for(classifier, []) == found == calibrate(classifier, sentences(20), tokens=16)
    write_ranges(folder / RANGES, ShippedRanges("other", 16, found))
    with pytest.raises(CompatibilityError, match="calibrated on other weights"):
        ranges_for(classifier, [])


def test_too_many_labels_are_refused(tmp_path):
    names = tuple(f"topic {i}" for i in range(9))
    classifier = TextClassifier.load(write_classifier(tmp_path / "many", names))
    with pytest.raises(UnsupportedModuleError, match="classifier: 9 labels, the layout has room for 8"):
        compile_classifier(classifier, tokens=16, calibration=sentences(10))
