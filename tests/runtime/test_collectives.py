"""One process, no process group: the same code moves 0 bytes; plans and faults are checked."""

from __future__ import annotations

import pytest
import torch

from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.transfers import Transfer, all_gather_transfers, predicted_bytes


def test_world_of_one_moves_nothing_and_copies_nothing() -> None:
    communicator = Communicator()
    own = {index: torch.arange(4) + index for index in range(3)}
    blocks = communicator.all_gather_blocks("kv", own, [0, 0, 0], (4,))
    assert all(blocks[index] is own[index] for index in own)
    assert communicator.broadcast("weight", own[1], 0, (4,)) is own[1]
    assert communicator.gather_objects("names", {"a": [1, 2.5, "ü"]}) == [{"a": [1, 2.5, "ü"]}]
    communicator.barrier("end")
    communicator.ledger.check([("kv", 0), ("weight", 0)])
    assert communicator.ledger.bytes_received == communicator.ledger.bytes_sent == 0
    assert [entry.operation for entry in communicator.ledger.entries if not entry.control] == [
        "all_gather",
        "broadcast",
    ]


def test_predicted_bytes_follow_the_formula() -> None:
    owner_of, shape = [0, 0, 0, 1, 2], (2, 3, 8)
    plan = all_gather_transfers(owner_of, shape, 3)
    assert [predicted_bytes(plan, rank) for rank in range(3)] == [(5 - n) * 48 * 8 for n in (3, 1, 1)]
    assert Transfer(index=0, source=1, destination=1, shape=shape).bytes == 0


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (torch.zeros(4, dtype=torch.float64), "int64"),
        (torch.zeros(5, dtype=torch.int64), "the plan says"),
        (torch.zeros(8, dtype=torch.int64)[::2], "not contiguous"),
    ],
)
def test_block_that_does_not_fit_the_plan_is_named(block: torch.Tensor, message: str) -> None:
    with pytest.raises(AssertionError, match=rf"kv\[0\].*{message}"):
        Communicator().all_gather_blocks("kv", {0: block}, [0], (4,))


def test_more_ranks_need_a_group() -> None:
    with pytest.raises(AssertionError, match="process group"):
        Communicator(rank=0, world_size=2)
