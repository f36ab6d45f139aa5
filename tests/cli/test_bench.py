"""`aegis bench ring` end to end on a tiny ring, with a stand-in for the other library and without one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_fhe.bench import provenance, ring_table
from aegis_fhe.bench.ring_table import OPERATIONS
from aegis_fhe.ckks import presets
from aegis_fhe.cli import bench as bench_module
from aegis_fhe.errors import PeerError
from bench.stand_ins import StandInPeer

from .conftest import Answer

Aegis = Callable[..., Answer]

KEYS = {
    "operation",
    "log_n",
    "limbs",
    "special_limbs",
    "dnum",
    "threads",
    "ours_ms",
    "peer",
    "peer_ms",
    "ratio",
}


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A ring of degree 64 stands for 2^16, and the file of a checkout lies elsewhere."""
    monkeypatch.setattr(ring_table, "PARAMETERS", {16: lambda: presets.insecure(6, 3, 2)})
    path = tmp_path / "results" / "ring.jsonl"
    monkeypatch.setattr(provenance, "default_results", lambda benchmark: path)
    return path


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> StandInPeer:
    """The command meets this instead of OpenFHE."""
    stand_in = StandInPeer({"rotate": 1e6, "add": 2.0})
    monkeypatch.setattr(bench_module, "choose_peer", lambda *args, **kwargs: stand_in)
    return stand_in


def test_json_is_the_rows_and_nothing_else(aegis: Aegis, results: Path, peer: StandInPeer) -> None:
    answer = aegis("bench", "ring", "--json", "--runs", 1)
    assert answer.status == 0, answer.err
    assert answer.out.count("\n") == 1
    rows = json.loads(answer.out)
    assert [row["operation"] for row in rows] == list(OPERATIONS)
    assert all(set(row) == KEYS for row in rows)
    assert all(set(row["ours_ms"]) == {"min", "median", "p90"} for row in rows)
    (rotate,) = [row for row in rows if row["operation"] == "rotate"]
    assert rotate["peer_ms"] == {"min": 1e6, "median": 1e6, "p90": 1e6}
    assert rotate["ratio"] == 1e6 / rotate["ours_ms"]["median"]
    assert peer.closed

    recorded = [json.loads(line) for line in results.read_text().splitlines()]
    assert [{key: line[key] for key in KEYS} for line in recorded] == rows
    for line in recorded:
        assert line["hardware"]["kernels"] == presets.insecure(6, 3, 2).ring.path
        assert line["hardware"]["cores"] >= 1
        assert {"aegis-fhe", "torch", "numpy", "peer"} <= set(line["versions"])
        assert {"commit", "date", "benchmark"} <= set(line)
    assert recorded[-1]["stored_key_bytes"]["peer"] == 1000


@pytest.mark.usefixtures("results", "peer")
def test_the_table_says_what_was_compared(aegis: Aegis) -> None:
    answer = aegis("bench", "ring", "--operations", "rotate,decode,rotation key generation", "--runs", 1)
    assert answer.status == 0, answer.err
    for text in (
        "rotate",
        "decode",
        "1e+06",
        "Peer Stand-in 1: rotate",
        "No peer: decode",
        "INSECURE",
        "%",
    ):
        assert text in " ".join(answer.out.split()), text
    assert "add" not in answer.out.split()
    assert "rotate: " in answer.err


def test_without_a_peer_and_without_a_record(aegis: Aegis, results: Path) -> None:
    answer = aegis(
        "bench", "ring", "--json", "--peer", "none", "--operations", "ntt,add", "--no-record", "--runs", 1
    )
    assert answer.status == 0, answer.err
    assert [row["peer"] is None for row in json.loads(answer.out)] == [False, True]
    assert not results.exists()


def test_rows_go_to_the_file_that_was_asked_for(aegis: Aegis, results: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.jsonl"
    arguments = ("bench", "ring", "--peer", "none", "--operations", "ntt", "--runs", 1, "--json")
    assert aegis(*arguments, "--output", given).status == 0
    assert len(given.read_text().splitlines()) == 1
    assert not results.exists()
    answer = aegis(*arguments, "--output", given / "below")
    assert (answer.status, answer.out) == (2, "")
    assert str(given) in answer.err


def test_a_checkout_that_cannot_be_written_costs_no_measurement(aegis: Aegis, results: Path) -> None:
    results.parent.write_text("in the way")
    answer = aegis("bench", "ring", "--peer", "none", "--operations", "ntt", "--runs", 1, "--json")
    assert answer.status == 0
    assert len(json.loads(answer.out)) == 1
    assert "not recorded" in answer.err


@pytest.mark.usefixtures("results")
def test_a_peer_that_fails_is_one_line_and_no_result(aegis: Aegis, peer: StandInPeer) -> None:
    def fail(operation: str) -> float:
        raise PeerError("the peer has ended: exit status 137")

    peer.measure = fail  # type: ignore[method-assign]
    answer = aegis("bench", "ring", "--operations", "rotate", "--json")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == "aegis: the peer has ended: exit status 137\n"
    assert peer.closed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--n", 14], ["14", "15, 16"]),
        (["--threads", 0], ["0 threads", "1 to"]),
        (["--threads", 1000000], ["1000000 threads"]),
        (["--runs", 0], ["0 runs"]),
        (["--operations", "spin"], ["'spin'", "rotate"]),
        (["--peer", "nobody"], ["'nobody'", "openfhe"]),
        (["--peer-python", "/nonexistent/python"], ["/nonexistent/python"]),
        (["--peer-python", sys.executable, "--n", 15], ["openfhe"]),
    ],
    ids=str,
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[Any], words: list[str], aegis: Aegis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_module, "measure_ring", lambda *args, **kwargs: pytest.fail("work began"))
    monkeypatch.setitem(sys.modules, "tenseal", None)
    answer = aegis("bench", "ring", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("aegis: ")
    assert answer.err.count("\n") == 1
    assert all(word in answer.err for word in words), answer.err


def test_a_benchmark_that_does_not_exist_is_one_line_and_status_2(aegis: Aegis) -> None:
    answer = aegis("bench", "sort")
    assert (answer.status, answer.out) == (2, "")
    known = "ring, bootstrap, decoder-layer, scaling, replay"
    assert answer.err == f"aegis: benchmark 'sort' is unknown: choose {known}\n"
