"""`aegis params` states facts of the parameter sets, and refuses what is not secure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest

from aegis_fhe.ckks import EvaluationKeys, Evaluator, presets
from aegis_fhe.ckks.key_request import KeyRequest
from aegis_fhe.ckks.secret import SecretKey, encrypt, evaluation_keys
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.cli.params import describe

from .conftest import Answer

Aegis = Callable[..., Answer]


def test_json_states_the_facts_of_every_preset(aegis: Aegis) -> None:
    answer = aegis("params", "--json")
    assert (answer.status, answer.err) == (0, "")
    facts = json.loads(answer.out)
    sets = [presets.n14(), presets.n15(), presets.n16()]
    assert [entry["name"] for entry in facts] == [p.name for p in sets]
    for entry, p in zip(facts, sets, strict=True):
        assert [row["level"] for row in entry.pop("by level")] == list(range(len(p.q) - 1, -1, -1))
        levels, special, degree = len(p.q) - 1, len(p.p), 2**p.log_degree
        digits = math.ceil((levels + 1) / p.digit_size)
        half = digits * (levels + 1 + special) * degree * 8
        assert entry == {
            "name": p.name,
            "ring degree": degree,
            "slots": degree // 2,
            "levels": levels,
            "log2 Q": round(sum(math.log2(q) for q in p.q), 1),
            "log2 QP": round(sum(math.log2(q) for q in (*p.q, *p.p)), 1),
            "log2 QP allowed at 128 bits": {14: 430, 15: 868, 16: 1747}[p.log_degree],
            "security bits": 128,
            "digits": digits,
            "ciphertext bytes": 2 * (levels + 1) * degree * 8,
            "key bytes": 2 * half,
            "stored key bytes": half,
        }
        assert entry["log2 QP"] <= entry["log2 QP allowed at 128 bits"]


def test_bytes_are_those_of_real_keys_and_ciphertexts() -> None:
    p = presets.insecure(log_degree=5, levels=3, digit_size=2)
    facts, secret = describe(p), SecretKey.generate(p)
    (key,) = evaluation_keys(secret, [KeyRequest("relin", p.max_level)])
    assert facts["stored key bytes"] == key.b.nbytes
    assert facts["key bytes"] == key.b.nbytes + key.a.nbytes
    assert facts["ciphertext bytes"] == encrypt(secret, SlotVector.of(1.0)).expand(p).size_bytes
    assert facts["security bits"] < 128


def test_bytes_of_every_level_are_those_of_real_keys_and_ciphertexts() -> None:
    """And a real rotation holds, besides them, what is said of a key switch."""
    p = presets.insecure(log_degree=13, levels=3, digit_size=2)
    secret, arena = SecretKey.generate(p), p.ring.arena
    for row in describe(p)["by level"]:
        level = row["level"]
        (key,) = evaluation_keys(secret, [KeyRequest(1, level)])
        fresh = encrypt(secret, SlotVector.of(1.0), level=level)
        evaluator, x = Evaluator(p, EvaluationKeys.collect(p, [key])), fresh.expand(p)
        assert row["stored ciphertext bytes"] == fresh.body.nbytes
        assert row["ciphertext bytes"] == x.size_bytes
        assert row["product bytes"] == 3 * fresh.body.nbytes
        assert (row["stored key bytes"], row["key bytes"]) == (key.b.nbytes, key.b.nbytes + key.a.nbytes)
        evaluator.expanded.halves(key)
        arena.trim()
        arena.reset_peaks()
        before = arena.bytes().in_use
        rotated = evaluator.rotate(x, 1)
        taken = arena.bytes().peak_in_use - before - rotated.size_bytes
        assert taken == pytest.approx(row["key switch workspace bytes"], rel=0.05)


def test_levels_of_one_preset(aegis: Aegis) -> None:
    (facts,) = json.loads(aegis("params", "n14", "--levels", 4, "--json").out)
    assert (facts["levels"], facts["name"]) == (4, presets.n14(4).name)


def test_table_shows_the_same(aegis: Aegis) -> None:
    answer = aegis("params", "n15")
    assert answer.status == 0
    lines = answer.out.splitlines()
    for text in (
        "security bits",
        "128",
        "ciphertext bytes",
        "MiB",
        str(2**15),
        presets.n15().name,
        "Memory by level",
    ):
        assert any(text in line for line in lines), text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope"], ["nope", "n14, n15, n16"]),
        (["n16", "--levels", 32], ["1747", "128"]),
        (["n14", "--levels", 100], ["430"]),
    ],
    ids=str,
)
def test_sets_that_do_not_exist_or_are_not_secure_are_one_line_and_status_2(
    arguments: list[str], words: list[str], aegis: Aegis
) -> None:
    answer = aegis("params", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("aegis: ")
    assert answer.err.count("\n") == 1
    assert all(word in answer.err for word in words)


@pytest.mark.parametrize("levels", [0, -3, 101, 10**9])
def test_levels_far_outside_are_a_usage_error_at_once(levels: int, aegis: Aegis) -> None:
    answer = aegis("params", "n16", "--levels", levels)
    assert (answer.status, answer.out) == (2, "")
    assert "--levels" in answer.err


def test_search_shows_what_it_found(aegis, monkeypatch):
    from aegis_fhe.circuits.bootstrap import presets as bootstraps
    from aegis_fhe.circuits.bootstrap.search import assess
    from aegis_fhe.cli import search as search_module

    monkeypatch.setattr(
        search_module, "search", lambda degree, levels: [assess(bootstraps.insecure(9, levels))]
    )
    answer = aegis("params", "--search", "--levels", 2, "--json")
    assert answer.status == 0, answer.err
    (facts,) = json.loads(answer.out)
    assert (facts["levels_left"], facts["depth"], facts["arcsine_degree"]) == (2, 14, 7)
    assert facts["precision_bits_worst"] > 20
    answer = aegis("params", "n16", "--search", "--levels", 2)
    assert answer.status == 0, answer.err
    assert "2 levels left" in answer.out
    monkeypatch.setattr(search_module, "search", lambda degree, levels: [])
    assert "no room" in aegis("params", "--search").out
    assert "searched at n16, not at n14" in aegis("params", "n14", "--search").err
