"""Reviews of one source out of a table of several; a split that is always the same, without repetition."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_fhe.errors import AegisError
from aegis_fhe.models.datasets.rotten_tomatoes import Review, load_reviews, split

TABLE = 'text,label,source\n"a, ""quoted"" film",1,rotten_tomatoes\nlong,0,imdb\ndull,0,rotten_tomatoes\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "reviews.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_one_source_is_read(tmp_path):
    assert load_reviews(write(tmp_path, TABLE)) == [Review('a, "quoted" film', 1), Review("dull", 0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("text,stars\nfine,1\n", "expected label, source, text"),
        ("", "has the columns None"),
        ("text,label,source\nlong,0,imdb\n", "no reviews of rotten_tomatoes"),
        ("text,label,source\ndull,0,rotten_tomatoes\nodd,7,rotten_tomatoes\n", "both labels"),
    ],
)
def test_other_files_are_refused(tmp_path, text, words):
    with pytest.raises(AegisError, match=words):
        load_reviews(write(tmp_path, text))


def test_a_split_is_reproducible_and_disjoint():
    reviews = [Review(str(i), i % 2) for i in range(30)]
    train, test = split(reviews, train=20, test=8, seed=3)
    assert (train, test) == split(reviews, train=20, test=8, seed=3)
    assert (train, test) != split(reviews, train=20, test=8, seed=4)
    assert len({review.text for review in train + test}) == 28
    with pytest.raises(AegisError, match=r"20 \+ 11 reviews asked for, there are 30"):
        split(reviews, train=20, test=11, seed=3)
