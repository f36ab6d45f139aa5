"""Periodic plaintexts of a sum of products as coefficients: encoded where they are used, or kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor

from aegis_fhe.ckks.encoder import Encoder
from aegis_fhe.ckks.plain_rows import TEMPORARY_BYTES, Rows


class Plaintexts:
    """Encodes all anew each time; what keeps them overrides `blocks`."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def blocks(self, rows: Rows, columns: Sequence[int], scale: float, period: int) -> Iterable[Tensor]:
        """Signed coefficients int64 [R, B, 2 period] of some rows after the others, as many as fit about
        200 MiB with what encoding takes; columns: which of each row, None among them a zero.
        """
        at_once = max(1, TEMPORARY_BYTES // (len(columns) * 4 * period * 8))
        for start in range(0, len(rows), at_once):
            block = rows[start : start + at_once]
            vectors = [row[b] for row in block for b in columns]
            coefficients = self.encoder.encode_many(vectors, scale, period)
            yield coefficients.reshape(len(block), len(columns), 2 * period)
