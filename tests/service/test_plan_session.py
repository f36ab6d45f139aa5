"""Bytes that were not predicted are a fault, however few; what devices logged is kept if one fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aegis_fhe.errors import WorkerError
from aegis_fhe.observe.trace import TraceLog
from aegis_fhe.placement.traffic import Key
from aegis_fhe.runtime.ledger import LedgerError
from aegis_fhe.service.plan_folder import PlanFolder
from aegis_fhe.service.plan_session import check_bytes, traced

PREDICTED: list[dict[Key, int]] = [{("token", "attend", "all_gather"): 4096}, {("limb", "norm", "drop"): 64}]


def test_equal_bytes_pass():
    check_bytes(PREDICTED, [dict(one) for one in PREDICTED])


@pytest.mark.parametrize(
    ("rank", "key", "count", "message"),
    [
        (0, ("token", "attend", "all_gather"), 4104, "rank 0, all_gather of stage 'attend' .* 4096 .* 4104"),
        (1, ("limb", "norm", "drop"), 0, "rank 1, drop of stage 'norm' .* 64 bytes expected, 0 found"),
        (1, ("team", "norm", "drop"), 8, "over axis 'team': 0 bytes expected, 8 found"),
    ],
)
def test_others_do_not(rank: int, key: Key, count: int, message: str):
    received = [dict(one) for one in PREDICTED]
    received[rank][key] = count
    with pytest.raises(LedgerError, match=message):
        check_bytes(PREDICTED, received)


def test_what_was_logged_is_merged_also_when_a_worker_fails(tmp_path: Path):
    """Rank 1 was killed while it wrote a line, rank 2 before it had begun."""
    folder = PlanFolder(tmp_path)

    def fail() -> None:
        for rank in range(2):
            with TraceLog(folder.trace(rank), rank) as log:
                log.add("node", "compute", 1.0, 2.0)
        with folder.trace(1).open("a") as file:
            file.write('{"name": "cut')
        raise WorkerError("worker 1 was ended")

    with pytest.raises(WorkerError), traced(folder, 3, tmp_path / "trace.json"):
        fail()
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sorted(event["pid"] for event in events if event["ph"] == "X") == [0, 1]
