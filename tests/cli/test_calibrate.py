"""`aegis calibrate`: the ranges as a file, and a report of how near the texts came to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from aegis_fhe.models.minilm.recipe import ShippedRanges
from aegis_fhe.models.text_encoder import TextEncoder
from models.minilm.words import numbers_encoder, random_texts

from .conftest import Answer

Aegis = Callable[..., Answer]


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Twenty texts, and a tiny encoder to calibrate."""
    monkeypatch.setattr(TextEncoder, "load", lambda folder: numbers_encoder())
    path = tmp_path / "samples.txt"
    path.write_text("\n".join(random_texts(20, seed=3)))
    return path


def test_ranges_and_how_near_the_texts_came(aegis: Aegis, samples: Path, tmp_path: Path) -> None:
    output = tmp_path / "ranges.json"
    answer = aegis("calibrate", samples, "-o", output, "--tokens", 16)
    assert answer.status == 0, answer.err
    found = msgspec.json.decode(output.read_bytes(), type=ShippedRanges)
    assert found.near_bounds is not None
    near = found.near_bounds
    assert f"{near.near} of {near.texts} (" in " ".join(answer.out.split())
    assert near.texts > 20
    assert f"Ranges on {near.texts} windows of 20 texts" in answer.out
    again = aegis("calibrate", samples, "-o", output, "--tokens", 16, "--json")
    assert again.out.count("\n") == 1
    assert msgspec.json.decode(again.out, type=ShippedRanges) == found
