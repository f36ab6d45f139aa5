"""A batch of bootstraps shared by ciphertext: the same bits in every world."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import aegis_fhe
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.runtime.launch import LaunchOptions, launch
from aegis_fhe.runtime.refresh import share_of_batch

SEARCH_PATH = os.pathsep.join([str(Path(__file__).parent), str(Path(aegis_fhe.__file__).parents[1])])
COUNT = 5


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 7])
def test_shares_are_even_and_cover_the_batch(world_size):
    shares = [share_of_batch(COUNT, rank, world_size) for rank in range(world_size)]
    assert sorted(i for share in shares for i in share) == list(range(COUNT))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("rank", "world_size"), [(2, 2), (-1, 2), (0, 0)])
def test_ranks_outside_their_world_are_refused(rank, world_size):
    with pytest.raises(CompatibilityError, match=f"rank {rank} is not in a world of {world_size}"):
        share_of_batch(COUNT, rank, world_size)


def test_worlds_of_one_two_and_four_give_the_same_bits():
    worlds = []
    for world_size in (1, 2, 4):
        options = LaunchOptions(
            world_size=world_size, threads=1, environment={"PYTHONPATH": SEARCH_PATH}, timeout_s=120
        )
        reports = launch("refresh_worker", {"count": COUNT}, options)
        digests: dict[str, str] = {}
        for report in reports:
            assert not set(digests) & set(report.result)
            digests |= report.result
        worlds.append(digests)
    assert worlds[0] == worlds[1] == worlds[2]
    assert len(set(worlds[0].values())) == len(worlds[0]) == COUNT
