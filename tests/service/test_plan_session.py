"""Bytes that were not predicted are a fault, however few."""

from __future__ import annotations

import pytest

from aegis_fhe.placement.traffic import Key
from aegis_fhe.runtime.ledger import LedgerError
from aegis_fhe.service.plan_session import check_bytes

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
