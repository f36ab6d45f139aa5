"""Ranks of one host: blocks through shared memory, which nothing outlives, and what if one is gone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import aegis_fhe
from aegis_fhe.errors import WorkerError
from aegis_fhe.runtime import host_memory
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.launch import LaunchOptions, launch
from aegis_fhe.runtime.process_state import lives

SEARCH_PATH = os.pathsep.join([str(Path(__file__).parent), str(Path(aegis_fhe.__file__).parents[1])])
OPTIONS = LaunchOptions(world_size=2, threads=1, environment={"PYTHONPATH": SEARCH_PATH}, timeout_s=120)

pytestmark = pytest.mark.skipif(not host_memory.FOLDER.is_dir(), reason="no memory that processes share here")


def files() -> list[str]:
    return [x.name for x in host_memory.FOLDER.iterdir() if x.name.startswith("aegis-")]


def test_blocks_longer_than_a_ring_arrive_whole_in_order():
    before = files()
    for report in launch("exchange_worker", {"mode": "large"}, OPTIONS):
        assert report.result["exact"]
        assert report.result["left"] == before  # names are gone as soon as all have mapped them
    assert files() == before


def test_a_killed_rank_is_missed_at_once_and_leaves_nothing():
    before, start = files(), time.monotonic()
    with pytest.raises(WorkerError):
        launch("exchange_worker", {"mode": "kill", "rank": 1, "memory": True}, OPTIONS)
    assert time.monotonic() - start < 60
    assert files() == before


def test_a_process_that_ended_does_not_live():
    assert lives(os.getpid())
    child = os.spawnlp(os.P_NOWAIT, "true", "true")
    deadline = time.monotonic() + 10
    while lives(child):  # then a zombie, until it is waited for
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.waitpid(child, 0)
    assert not lives(child)


def test_one_rank_has_nobody_to_share_with():
    assert not Communicator().use_host_memory()


def test_a_host_without_such_memory_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(host_memory, "FOLDER", tmp_path / "absent")
    assert host_memory._create(4096) is None
