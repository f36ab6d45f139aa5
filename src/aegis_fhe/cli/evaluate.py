"""`aegis evaluate`: how accurate an encrypted model is predicted to be, against the exact one."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aegis_fhe.bench.result_rows import record_facts
from aegis_fhe.cli.circumstances import circumstances
from aegis_fhe.errors import AegisError, ParameterError
from aegis_fhe.models.classifier import TextClassifier
from aegis_fhe.models.classifier import ranges_for as classifier_ranges
from aegis_fhe.models.classifier.evaluation import evaluate_classifier
from aegis_fhe.models.classifier.sentiment import ReviewParts, train_sentiment
from aegis_fhe.models.datasets.lee import Lee50
from aegis_fhe.models.datasets.news import load_news
from aegis_fhe.models.datasets.rotten_tomatoes import load_reviews, split
from aegis_fhe.models.evaluation import Evaluation
from aegis_fhe.models.minilm.lee50 import evaluate_lee50
from aegis_fhe.models.minilm.recipe import ranges_for
from aegis_fhe.models.minilm.rotten_tomatoes import evaluate_rotten_tomatoes
from aegis_fhe.models.minilm.sentences import SentenceModels
from aegis_fhe.models.smollm2 import SmolLM2
from aegis_fhe.models.smollm2.news import evaluate_news
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.observe.table import format_seconds, results_table
from aegis_fhe.runtime.garbage import no_collection

Say = Callable[[str], None]

TRAIN, TEST = 2000, 1000
NEWS_TEXTS, NEWS_TOKENS = 3, 2048
LEAST_TEXTS = 6
# Of the split into train and test: part of what is measured, so that every run has the same reviews.
SPLIT_SEED = 2026


def _minilm() -> SentenceModels:
    with no_collection():
        encoder = TextEncoder.load()
        return SentenceModels.of(encoder, ranges_for(encoder, []))


def _enough(limit: int | None) -> None:
    """Raises ParameterError for fewer texts than a correlation or a fit makes sense of."""
    if limit is not None and limit < LEAST_TEXTS:
        raise ParameterError(f"--limit {limit} is too few for this evaluation: at least {LEAST_TEXTS}")


def _lee50(limit: int | None, seed: int, say: Say) -> Evaluation:
    _enough(limit)
    data = Lee50.load()
    return evaluate_lee50(_minilm(), data if limit is None else data.first(limit), seed=seed, say=say)


def _rotten_tomatoes(limit: int | None, seed: int, say: Say) -> Evaluation:
    """limit: of train and test together, in the same proportion."""
    _enough(limit)
    test = TEST if limit is None else limit * TEST // (TRAIN + TEST)
    train = TRAIN if limit is None else limit - test
    parts = split(load_reviews(), train=train, test=test, seed=SPLIT_SEED)
    return evaluate_rotten_tomatoes(_minilm(), *parts, seed=seed, say=say)


def _sentiment(limit: int | None, seed: int, say: Say) -> Evaluation:
    """Of the classifier that `aegis train` makes; limit: of test reviews."""
    parts = ReviewParts.of(load_reviews())
    with tempfile.TemporaryDirectory(prefix="aegis-") as folder, no_collection():
        train_sentiment(TextEncoder.load(), parts, Path(folder) / "sentiment", seed=0, say=say)
        classifier = TextClassifier.load(Path(folder) / "sentiment")
        return evaluate_classifier(
            classifier, classifier_ranges(classifier, []), parts.test[:limit], seed=seed, say=say
        )


def _smollm2(limit: int | None, seed: int, say: Say) -> Evaluation:
    """limit: of texts."""
    with no_collection():
        language = SmolLM2.load()
    texts = NEWS_TEXTS if limit is None else limit
    return evaluate_news(language, load_news(), tokens=NEWS_TOKENS, texts=texts, seed=seed, say=say)


EVALUATIONS: dict[str, Callable[[int | None, int, Say], Evaluation]] = {
    "lee50": _lee50,
    "rotten-tomatoes": _rotten_tomatoes,
    "sentiment": _sentiment,
    "smollm2": _smollm2,
}


def evaluate(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(EVALUATIONS)}.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many texts.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Append the row here; by default to benchmarks/results of a checkout.")
    ] = None,
    record: Annotated[bool, typer.Option(help="Append the row to a file, unless texts are limited.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Predict the accuracy of an encrypted model, against the exact one."""
    if name not in EVALUATIONS:
        raise AegisError(f"evaluation {name!r} is unknown: expected one of {', '.join(EVALUATIONS)}")
    start = time.monotonic()
    found = EVALUATIONS[name](limit, seed, _say)
    facts = {**found.facts, "seconds": round(time.monotonic() - start, 3)}
    if record and (limit is None or output is not None):
        record_facts("accuracy", output, facts | circumstances("accuracy", found.params), _say)
    if as_json:
        typer.echo(json.dumps(facts))
        return
    console = Console()
    rows = [*found.rows, ("everything", format_seconds(facts["seconds"]))]
    console.print(results_table(found.title, ("quantity", "value"), rows))
    console.print(
        "Simulated: polynomials and noise as the encrypted program has them; nothing was encrypted."
    )


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
