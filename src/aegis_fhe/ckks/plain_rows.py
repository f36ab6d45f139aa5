"""Rows of plaintexts of a sum of products: which are there, without tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from aegis_fhe.ckks.slots import SlotVector

TEMPORARY_BYTES = 200 << 20

Rows: TypeAlias = Sequence[Sequence[SlotVector | None]]


def used_columns(rows: Rows) -> Sequence[int]:
    """Those in which some row has a plaintext; of most matrices one row has one in all."""
    used: set[int] = set()
    for row in rows:
        used.update([b for b, v in enumerate(row) if v is not None])
        if len(used) == len(row):
            return range(len(row))
    return sorted(used)


def common_period(rows: Rows) -> int:
    """The largest, which is a multiple of all: powers of two."""
    return max((v.period for row in rows for v in row if v is not None), default=1)
