"""Fifty news texts and how similar people find every two of them.

M. D. Lee, B. Pincombe, M. Welsh, An empirical evaluation of models of text document similarity, Proc. 27th
Annual Conference of the Cognitive Science Society, 2005. The files are those of gensim's tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import AegisError
from aegis_fhe.models.datasets.packaged import packaged_file, read_text

Array = NDArray[np.float64]

PACKAGE = "gensim"
_FOLDER = "test/test_data"


@dataclass(frozen=True, eq=False)
class Lee50:
    """Documents, and the mean similarity [documents, documents] in [0, 1] that people gave to every two.

    What is below the diagonal is not defined.
    """

    documents: list[str]
    similarity: Array

    @classmethod
    def load(cls, documents: Path | None = None, similarity: Path | None = None) -> Lee50:
        """One document a line in Latin-1, and a table of numbers; by default gensim's.

        Raises AegisError when gensim is not installed, or the files do not fit each other.
        """
        texts = packaged_file(PACKAGE, f"{_FOLDER}/lee.cor") if documents is None else documents
        table = packaged_file(PACKAGE, f"{_FOLDER}/similarities0-1.txt") if similarity is None else similarity
        lines = [line for line in read_text(texts, "latin-1").split("\n") if line.strip()]
        try:
            numbers = np.array(
                [[float(x) for x in line.split()] for line in read_text(table, "ascii").splitlines()]
            )
        except ValueError as error:
            raise AegisError(f"{table} is no table of numbers: {error}") from error
        if len(lines) < 2 or numbers.shape != (len(lines), len(lines)):
            raise AegisError(
                f"{table} is a table of {list(numbers.shape)}, {texts} has {len(lines)} documents: expected "
                "a row and a column for each of two documents or more"
            )
        return cls(lines, numbers)

    def first(self, count: int) -> Lee50:
        """The first documents alone."""
        return Lee50(self.documents[:count], self.similarity[:count, :count])

    def pairs(self, similarity: Array) -> Array:
        """The entries of a table like `similarity` for every two different documents, once."""
        chosen: Array = similarity[np.triu_indices(len(self.documents), 1)]
        return chosen
