"""Ranks are killed at random moments, stopped, slow: the run ends with the same bits, or says who it was."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import aegis_fhe

KILLS, SEED = 20, 20261128
SEARCH_PATH = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(aegis_fhe.__file__).parents[1])])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of them: one process loads everything and forks all ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "service.forked_ranks", str(folder), str(SEED), str(KILLS)]
    environment = {**os.environ, "PYTHONPATH": SEARCH_PATH, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_kill_9_at_20_random_moments(found: dict[str, Any]):
    """Each start goes on from what those before it left; runs that ended have the digest of one device."""
    killed = found["killed"]
    print(f"seed {killed['seed']}: (rank, seconds, status) {killed['moments']}")
    assert len(killed["moments"]) == KILLS
    assert {status for _, _, status in killed["moments"]} == {-signal.SIGKILL}
    assert {rank for rank, _, _ in killed["moments"]} == {0, 1}
    assert killed["starts"] == 1 + KILLS + killed["finished"] + killed["missed"]  # one undisturbed
    assert killed["equal"]
    assert max(killed["begins"]) > 0
    assert killed["most_files"] <= 4  # two of each rank


def test_a_stopped_rank_is_named_through_sockets_too(found: dict[str, Any]):
    stopped = found["stopped"]
    assert stopped["was_stopped"]
    assert stopped["status"] == [1, -signal.SIGKILL]
    assert stopped["said"]["error"] == "CommunicationError"
    assert re.fullmatch(r"\w+: rank 0 lost rank 1: it did not answer in 2 s", stopped["said"]["message"])


def test_a_rank_that_is_slow_changes_nothing(found: dict[str, Any]):
    """It sleeps for longer than the others take, and for less than they would wait."""
    assert found["stopped"]["again"] == [0, 0]
    assert found["stopped"]["digests"] == found["killed"]["digests"]
