"""Ranks of one host: blocks through shared memory, which nothing outlives, and what if one is gone."""

from __future__ import annotations

import os
import time
from dataclasses import replace
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

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no memory that processes share here")


def test_blocks_longer_than_a_ring_arrive_whole_in_order():
    for report in launch("exchange_worker", {"mode": "large"}, OPTIONS):
        assert report.result["exact"]
        assert report.result["socket_threads"] == [1, 0]


def test_those_of_one_host_share_memory_and_others_sockets():
    options = replace(OPTIONS, world_size=4)
    for rank, report in enumerate(launch("exchange_worker", {"mode": "hosts"}, options)):
        assert report.result == {
            **{"near": True, "far": False, "world": False},
            "from near": [rank & 2, (rank & 2) + 1],
            "from far": [rank & 1, (rank & 1) + 2],
            "from world": [0, 1, 2, 3],
        }


def test_a_killed_rank_is_missed_at_once():
    start = time.monotonic()
    with pytest.raises(WorkerError):
        launch("exchange_worker", {"mode": "kill", "rank": 1, "memory": True}, OPTIONS)
    assert time.monotonic() - start < 60


def test_rings_have_no_name_that_could_stay_behind():
    found = host_memory._create(4096)
    assert found is not None
    file, memory = found
    assert os.fstat(file).st_nlink == 0
    other = host_memory._attach(host_memory._Owner("here", os.getpid(), file), 4096)
    memory[7] = 5
    assert other[7] == 5
    os.close(file)


def test_ranks_that_number_processes_in_another_way_are_on_another_host(monkeypatch: pytest.MonkeyPatch):
    """The same machine and name, and yet process numbers mean something else there: containers."""
    here = host_memory._host()
    monkeypatch.setattr(host_memory.os, "readlink", lambda path: "pid:[1]")
    assert host_memory._host() != here
    assert host_memory._host() == host_memory._host()


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


def test_a_host_without_such_memory_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(host_memory.os, "memfd_create")
    assert host_memory._create(4096) is None
