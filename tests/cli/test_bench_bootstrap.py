"""`aegis bench bootstrap` on a small ring, beside a stand-in for OpenFHE and without one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from aegis_fhe.bench import openfhe_peer, provenance
from aegis_fhe.cli import bench_bootstrap as bench_module

FIELDS = {
    "preset",
    "log_n",
    "slots",
    "security_bits",
    "threads",
    "seconds",
    "levels_left",
    "scale_bits",
    "precision_bits_worst",
    "precision_bits_mean",
    "key_bytes",
    "peak_memory_bytes",
}
STAND_IN = """
import json, sys
asked = json.loads(sys.argv[1])
print("what a library says", file=sys.stderr)
facts = dict(preset="Stand-in", log_n=asked["log_n"], slots=4, security_bits=None, threads=1, levels_left=2)
facts.update(seconds=dict(min=8.0, median=9.0), scale_bits=59, precision_bits_worst=17.0)
facts.update(precision_bits_mean=20.0, key_bytes=1 << 30, peak_memory_bytes=1 << 31)
print(json.dumps(facts))
"""


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bootstrap.jsonl"
    monkeypatch.setattr(provenance, "default_results", lambda benchmark: path)
    return path


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "peer.py"
    path.write_text(STAND_IN)
    monkeypatch.setattr(openfhe_peer, "BOOTSTRAP", path)
    return path


def test_on_the_kernels_of_a_gpu_there_is_no_peer(aegis, results):
    answer = aegis("bench", "bootstrap", "--n", 8, "--runs", 1, "--device", "emulated-gpu", "--json")
    assert answer.status == 0, answer.err
    facts = json.loads(answer.out)
    assert facts["peer"] is None
    assert facts["precision_bits_worst"] > 10
    assert facts["arena_peak_bytes"] > 0
    (row,) = [json.loads(line) for line in results.read_text().splitlines()]
    assert row["hardware"]["kernels"] == "emulated-gpu"


def test_ours_alone_as_json(aegis, results):
    answer = aegis("bench", "bootstrap", "--n", 8, "--runs", 2, "--peer", "none", "--json")
    assert answer.status == 0, answer.err
    facts = json.loads(answer.out)
    assert set(facts) >= FIELDS | {"stages", "peer", "pair_seconds"}
    assert facts["peer"] is None
    assert (facts["log_n"], facts["slots"], facts["levels_left"], facts["threads"]) == (8, 128, 3, 1)
    assert facts["seconds"]["min"] <= facts["seconds"]["median"]
    assert sum(facts["stages"].values()) == pytest.approx(facts["seconds"]["min"], rel=1e-6)
    assert facts["precision_bits_worst"] > 20
    (row,) = [json.loads(line) for line in results.read_text().splitlines()]
    assert row["seconds"] == facts["seconds"]
    assert {"commit", "date", "hardware", "versions"} <= set(row)


def test_a_peer_beside_it(aegis, results, stand_in):
    answer = aegis("bench", "bootstrap", "--n", 8, "--runs", 1, "--peer-python", sys.executable)
    assert answer.status == 0, answer.err
    for shown in ("OpenFHE", "9.00", "2 of 59 bits", "17.0 bits", "below 128", "sine"):
        assert shown in answer.out + answer.err
    (row,) = [json.loads(line) for line in results.read_text().splitlines()]
    assert set(row["peer"]) >= FIELDS
    assert row["ratio"] == pytest.approx(9.0 / row["seconds"]["median"])


def test_a_peer_that_fails_is_said(aegis, results, stand_in):
    stand_in.write_text("raise RuntimeError('no such budget')")
    answer = aegis("bench", "bootstrap", "--n", 8, "--peer-python", sys.executable)
    assert answer.status != 0
    assert "no such budget" in answer.out + answer.err
    assert not results.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--n", 17), "no bootstrap's degree"),
        (("--peer", "tenseal"), "has no bootstrap"),
        (("--runs", 0), "at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(aegis, options, message):
    answer = aegis("bench", "bootstrap", *options)
    assert answer.status != 0
    assert message in answer.out + answer.err


def test_an_unwritable_file_is_an_error_when_it_was_asked_for(aegis, tmp_path, monkeypatch):
    monkeypatch.setattr(
        bench_module, "measure_bootstrap", lambda *args, **kwargs: {"seconds": {"median": 1.0}}
    )
    answer = aegis("bench", "bootstrap", "--n", 8, "--peer", "none", "--output", tmp_path / "no" / "\0")
    assert answer.status != 0
