"""A group for each direction between two ranks: none waits for another, whatever is posted first."""

from __future__ import annotations

import os
from pathlib import Path

import aegis_fhe
from aegis_fhe.runtime.launch import LaunchOptions, launch

SEARCH_PATH = os.pathsep.join([str(Path(__file__).parent), str(Path(aegis_fhe.__file__).parents[1])])


def test_every_rank_gets_what_each_other_one_of_its_part_sends():
    options = LaunchOptions(world_size=4, threads=1, environment={"PYTHONPATH": SEARCH_PATH}, timeout_s=120)
    for rank, report in enumerate(launch("lanes_worker", {}, options)):
        near, far = {rank ^ 1}, {rank ^ 2}
        for axis, peers in {"near": near, "far": far, "all": set(range(4)) - {rank}}.items():
            assert report.result[axis] == {str(peer): peer for peer in peers}
