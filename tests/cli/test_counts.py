"""`aegis counts`: what `program.long.counts` finds, printed."""

from __future__ import annotations

import json
from collections.abc import Callable

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


def test_a_table_and_bad_input(aegis: Callable[..., Answer]) -> None:
    answer = aegis("counts", "smollm2-135m", "--tokens", "64")
    assert answer.status == 0, answer.err
    assert "bootstraps of all layers" in answer.out
    one_line(aegis("counts", "gpt-9"), "'gpt-9'", "bert-base")
