"""The recipe of a sentiment classifier: all-MiniLM-L6-v2, film reviews, a folder in Hugging Face format."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import AegisError
from aegis_fhe.models.classifier.checkpoint import ARCHITECTURE, TextClassifier
from aegis_fhe.models.classifier.recipe import RANGES
from aegis_fhe.models.classifier.train import TrainedHead, train_head
from aegis_fhe.models.datasets.rotten_tomatoes import Review, split
from aegis_fhe.models.encoder_calibration import head_ranges
from aegis_fhe.models.minilm.recipe import TOKENS, ShippedRanges
from aegis_fhe.models.minilm.recipe import ranges_for as encoder_ranges
from aegis_fhe.models.ranges_file import write_ranges
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.program.encoder import EncoderRanges, FirstToken

Array = NDArray[np.float64]

LABELS = ("negative", "positive")
# Of all reviews: so many to test on, and as many to stop the training by.
TEST = 1000
# Of the split, part of what is measured: test reviews are the same in every run.
SPLIT_SEED = 2026
# Ranges of other encoders than the packaged one are found on so many training reviews.
CALIBRATION_TEXTS = 300


@dataclass(frozen=True, kw_only=True)
class ReviewParts:
    """Reviews to learn from, to stop by, and to test on, which the recipe never looks at otherwise."""

    train: list[Review]
    validation: list[Review]
    test: list[Review]

    @classmethod
    def of(cls, reviews: list[Review], *, test: int = TEST) -> ReviewParts:
        """All reviews. Raises AegisError when there are too few."""
        seen, held_out = split(reviews, train=len(reviews) - test, test=test, seed=SPLIT_SEED)
        if len(seen) < 2 * test:
            raise AegisError(f"{len(reviews)} reviews are too few to test on {test}: give more")
        return cls(train=seen[test:], validation=seen[:test], test=held_out)


def train_sentiment(
    encoder: TextEncoder,
    parts: ReviewParts,
    folder: Path,
    *,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Trains on `parts`; writes config.json, model.safetensors, tokenizer.json, ranges.json; returns facts.

    The encoder stays as it is, so ranges of its layers do too; those of the head are found on the reviews to
    learn from and to stop by. Texts are cut to the program's tokens. Raises AegisError for a folder that
    cannot be written.
    """
    first = {
        name: _first_tokens(encoder, reviews, say)
        for name, reviews in (("train", parts.train), ("validation", parts.validation), ("test", parts.test))
    }
    data = {name: (first[name], _labels(getattr(parts, name))) for name in first}
    trained = train_head(data["train"], data["validation"], labels=len(LABELS), seed=seed)
    texts = [review.text for review in parts.train[:CALIBRATION_TEXTS]]
    _write(encoder, trained, folder)
    classifier = TextClassifier.load(folder)
    _, head = classifier.parts()
    assert isinstance(head, FirstToken)
    known: EncoderRanges = encoder_ranges(encoder, texts)
    seen = np.concatenate([first["train"], first["validation"]])
    ranges = msgspec.structs.replace(
        known, head=head_ranges(head, seen), origin=f"{known.origin}; head: {len(seen)} reviews"
    )
    write_ranges(folder / RANGES, ShippedRanges(classifier.fingerprint(), TOKENS, ranges))
    return {
        "reviews": {name: len(labels) for name, (_, labels) in data.items()},
        "accuracy": {name: trained.accuracy(*pair) for name, pair in data.items()},
        "rounds": trained.rounds,
        "best_round": trained.best_round,
        "seed": seed,
    }


def _first_tokens(encoder: TextEncoder, reviews: Sequence[Review], say: Callable[[str], None]) -> Array:
    found = np.empty((len(reviews), encoder.features))
    for index, review in enumerate(reviews):
        found[index] = encoder.states(encoder.embed(encoder.token_ids(review.text, limit=TOKENS)))[0]
        if (index + 1) % 500 == 0:
            say(f"{index + 1} of {len(reviews)} reviews read")
    return found


def _labels(reviews: Sequence[Review]) -> NDArray[np.int64]:
    return np.array([review.label for review in reviews], dtype=np.int64)


def _write(encoder: TextEncoder, trained: TrainedHead, folder: Path) -> None:
    import transformers

    config = transformers.BertConfig.from_dict(
        {
            **encoder.model.config.to_dict(),
            "architectures": [ARCHITECTURE],
            "id2label": dict(enumerate(LABELS)),
            "label2id": {name: label for label, name in enumerate(LABELS)},
            "problem_type": "single_label_classification",
        }
    )
    module = transformers.BertForSequenceClassification(config)
    with torch.no_grad():
        module.bert.embeddings.load_state_dict(encoder.model.embeddings.state_dict())
        module.bert.encoder.load_state_dict(encoder.model.encoder.state_dict())
        module.get_submodule("bert.pooler.dense").load_state_dict(trained.pooler.state_dict())
        module.classifier.load_state_dict(trained.classifier.state_dict())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        module.save_pretrained(folder)
        shutil.copyfile(encoder.folder / "tokenizer.json", folder / "tokenizer.json")
    except OSError as error:
        raise AegisError(f"{folder} cannot be written ({error.strerror}): choose another folder") from error
