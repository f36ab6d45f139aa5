"""Rows have the keys that are promised, survive JSON, and are appended with the circumstances."""

import json

import msgspec
import pytest

from aegis_fhe.bench.result_rows import Row, append_rows, to_json
from aegis_fhe.bench.timing import Quantiles
from aegis_fhe.errors import AegisError

KEYS = [
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
]
SIZES = {"log_n": 16, "limbs": 25, "special_limbs": 8, "dnum": 3, "threads": 1}
OURS = Quantiles(min=1.0, median=2.0, p90=3.0)
THEIRS = Quantiles(min=8.0, median=9.0, p90=10.0)


def rows():
    return [
        Row.of("rotate", **SIZES, ours_ms=OURS, peer="Other 1", peer_ms=THEIRS),
        Row.of("decode", **SIZES, ours_ms=OURS),
    ]


def test_json_has_exactly_the_promised_keys():
    text = to_json(rows())
    loaded = json.loads(text)
    assert [list(row) for row in loaded] == [KEYS, KEYS]
    assert loaded[0]["ours_ms"] == {"min": 1.0, "median": 2.0, "p90": 3.0}
    assert loaded[0]["ratio"] == 4.5
    assert msgspec.json.decode(text, type=list[Row]) == rows()


@pytest.mark.parametrize("half", [{"peer": "Other 1"}, {"peer_ms": THEIRS}, {}])
def test_without_a_measurement_of_a_named_peer_there_is_none(half):
    row = Row.of("rotate", **SIZES, ours_ms=OURS, **half)
    assert (row.peer, row.peer_ms, row.ratio) == (None, None, None)


def test_rows_are_appended_with_circumstances_and_what_belongs_to_one_operation(tmp_path):
    path = tmp_path / "new" / "ring.jsonl"
    for day in ("Monday", "Tuesday"):
        append_rows(path, rows(), {"date": day}, {"decode": {"note": "alone"}})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["date"] for line in lines] == ["Monday", "Monday", "Tuesday", "Tuesday"]
    assert [line.get("note") for line in lines] == [None, "alone"] * 2
    assert {key: lines[0][key] for key in KEYS} == json.loads(to_json(rows()))[0]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(AegisError, match="file/below"):
        append_rows(tmp_path / "file" / "below", rows(), {}, {})
