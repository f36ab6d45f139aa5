"""`aegis counts`: what `program.long.counts` finds, printed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from aegis_fhe.models.smollm2.layer_degrees import LayerDegrees
from aegis_fhe.program.long.shape import Degrees

from .conftest import Answer
from .test_demo import one_line


def test_bert_base_at_2048_tokens(aegis: Callable[..., Answer]) -> None:
    answer = aegis("counts", "bert-base", "--json")
    assert answer.status == 0, answer.err
    facts = json.loads(answer.out)
    assert (facts["tokens"], facts["layers"]) == (2048, 12)
    assert facts["layer"]["bootstraps"] == 51
    assert facts["layer"]["products"] > 2 * 131_072
    assert facts["encoded_weight_bytes"] <= 0.22 * 2**30


def test_layers_have_their_own_degrees(aegis: Callable[..., Answer], tmp_path: Path) -> None:
    """Two kinds of layers, one with a round whose scores are made again: the sum is that of all layers."""
    plain = Degrees(squarings=1, reciprocal=63, activation=31)
    wide = dataclasses.replace(plain, rounds=((31, 0),))
    path = tmp_path / "degrees.json"
    LayerDegrees(layers=(plain, wide, wide), tokens=64, origin="three layers").write(path)
    answer = aegis(
        "counts", "smollm2-135m", "--tokens", "64", "--degrees", path, "--most-scores", "0", "--json"
    )
    assert answer.status == 0, answer.err
    facts = json.loads(answer.out)
    first, second = facts["kinds"]
    assert (first["layers"], second["layers"], facts["layers"]) == ([0], [1, 2], 3)
    for name, count in facts["total"].items():
        if name != "encoded_weight_bytes":
            assert count == first["layer"][name] + 2 * second["layer"][name]
    # Two products for a round of each of 16 scores, and their making anew: 64 products and 9 of exp.
    assert second["layer"]["products"] - first["layer"]["products"] > 16 * (2 + 64 + 9)
    assert facts["layer"] == second["layer"]
    assert facts["degrees_of"] == "three layers"
    path.write_text("{}")
    one_line(aegis("counts", "smollm2-135m", "--degrees", path), "holds no degrees of layers")


def test_a_table_and_bad_input(aegis: Callable[..., Answer]) -> None:
    answer = aegis("counts", "smollm2-135m", "--tokens", "64")
    assert answer.status == 0, answer.err
    assert "bootstraps of all layers" in answer.out
    assert "lee_background" in answer.out.replace("\n", "")
    one_line(aegis("counts", "gpt-9"), "'gpt-9'", "bert-base")
