"""`aegis train`: a sentiment classifier on all-MiniLM-L6-v2, as a folder that `aegis compile` takes."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aegis_fhe.models.classifier.sentiment import ReviewParts, train_sentiment
from aegis_fhe.models.datasets.rotten_tomatoes import load_reviews
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.observe.table import format_seconds, results_table


def train(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the head's first weights.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Train a sentiment classifier on film reviews: a folder that can be compiled."""
    start = time.monotonic()
    parts = ReviewParts.of(load_reviews())
    facts = train_sentiment(
        TextEncoder.load(),
        parts,
        output,
        seed=seed,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    facts["seconds"] = round(time.monotonic() - start, 3)
    if as_json:
        typer.echo(json.dumps(facts))
        return
    rows = [
        (f"accuracy, {name}", f"{100 * share:.1f} % of {facts['reviews'][name]}")
        for name, share in facts["accuracy"].items()
    ]
    rows += [("rounds, the best", f"{facts['rounds']}, {facts['best_round']}")]
    rows += [("everything", format_seconds(facts["seconds"]))]
    Console().print(results_table(f"A sentiment classifier: {output}", ("quantity", "value"), rows))
