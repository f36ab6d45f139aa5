"""A tiny model with a tokenizer of bytes, read from GGUF like the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_fhe.models.smollm2 import SmolLM2

from ..tiny_gguf import tiny_model, write_gguf


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SmolLM2:
    pytest.importorskip("gguf")
    path: Path = tmp_path_factory.mktemp("smollm2") / "tiny.gguf"
    write_gguf(path, tiny_model())
    return SmolLM2.load(path)
