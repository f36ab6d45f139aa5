"""Three hundred news articles of the Australian Broadcasting Corporation, 2000 to 2001.

M. D. Lee, B. Pincombe, M. Welsh, An empirical evaluation of models of text document similarity, Proc. 27th
Annual Conference of the Cognitive Science Society, 2005. The file is that of gensim's tests.
"""

from __future__ import annotations

from pathlib import Path

from aegis_fhe.errors import AegisError
from aegis_fhe.models.datasets.lee import PACKAGE
from aegis_fhe.models.datasets.packaged import packaged_file, read_text


def load_news(path: Path | None = None) -> list[str]:
    """One article a line; by default gensim's. Raises AegisError when there is none, or no gensim."""
    file = packaged_file(PACKAGE, "test/test_data/lee_background.cor") if path is None else path
    articles = [line.strip() for line in read_text(file, "latin-1").split("\n") if line.strip()]
    if not articles:
        raise AegisError(f"{file} holds no article: expected one a line")
    return articles
