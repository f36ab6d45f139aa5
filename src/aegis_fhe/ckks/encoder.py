"""Slot values <-> integer polynomials: the canonical embedding of CKKS, in float64.

Slot j of a real polynomial m in Z[X]/(X^M + 1) is m(zeta^(5^j)), zeta = exp(i pi / M), j < M/2 (ePrint
2016/421, §3; the order by powers of 5 makes X -> X^5 a rotation by one slot to the left).

A vector of period p is a polynomial in Y = X^(N / 2p) with M = 2p coefficients: everything above at degree M.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import LayoutError, ScaleError
from aegis_fhe.ring.embedding import Embedding

COEFFICIENT_BITS = 62


class Encoder:
    """Encoder of one ring degree N. The integers it makes are the same on every machine (see Embedding)."""

    def __init__(self, degree: int, path: str | None = None) -> None:
        self.degree = degree
        self._embedding = Embedding(degree // 2, path)

    @property
    def slots(self) -> int:
        """N / 2."""
        return self.degree // 2

    def encode(self, vector: SlotVector, scale: float) -> torch.Tensor:
        """Coefficients round(scale * m), m the polynomial with m(zeta^(5^j)) = vector[j].

        Out: int64 [M], M = 2 * period (M = N for a dense vector), signed, |coefficient| < 2^62; a polynomial
        in X^(N/M). Rounding is to the nearest integer of the float64 value, whose error is `Embedding`'s.
        Cost: one complex FFT of length M/2. Raises LayoutError for a period beyond N/2, ScaleError for a
        coefficient of 2^62 and more.
        """
        self._check_period(vector.period)
        out = np.empty((1, 2 * vector.period), dtype=np.int64)
        self._encode_rows(vector.values[None], scale, out, [0])
        return torch.from_numpy(out[0])

    def encode_many(self, vectors: Sequence[SlotVector | None], scale: float, period: int) -> torch.Tensor:
        """Each vector encoded at its own period, then written as a polynomial in X^(N / 2 period).

        Out: int64 [len(vectors), 2 * period], zeros for None. A vector's coefficients do not depend on
        its companions: a sharded product encodes the same integers as an unsharded one. Raises as `encode`;
        LayoutError if a period does not divide `period`.
        """
        out = np.zeros((len(vectors), 2 * period), dtype=np.int64)
        rows_of: dict[int, list[int]] = {}
        for row, vector in enumerate(vectors):
            if vector is not None:
                rows_of.setdefault(vector.period, []).append(row)
        for own, rows in rows_of.items():
            if period % own:
                raise LayoutError(f"a vector of period {own} does not fit a common period of {period}")
            self._check_period(own)
            values = np.stack([v.values for v in (vectors[row] for row in rows) if v is not None])
            self._encode_rows(values, scale, out, rows)
        return torch.from_numpy(out)

    def decode(self, coefficients: NDArray[np.float64], scale: float) -> SlotVector:
        """Slot values m(zeta^(5^j)) / scale: float64 coefficients [M] -> complex128 [M/2]; see Embedding."""
        self._check_period(coefficients.shape[0] // 2)
        return SlotVector(self._embedding.evaluate(coefficients[None], 1 / scale)[0])

    def _encode_rows(
        self, values: NDArray[Any], scale: float, out: NDArray[np.int64], rows: Sequence[int]
    ) -> None:
        """[K, p] slot values into rows of coefficients, spread where these are longer than 2p."""
        points = np.ascontiguousarray(values, dtype=np.complex128)
        largest = self._embedding.interpolate(points, scale, out, rows)
        if not largest < 2.0**COEFFICIENT_BITS:
            raise ScaleError(
                f"an encoded coefficient reaches {largest:.4g} at scale 2^{np.log2(scale):.2f}; it must stay "
                f"below 2^{COEFFICIENT_BITS}: lower the scale or the values"
            )

    def _check_period(self, period: int) -> None:
        if period > self.slots:
            raise LayoutError(
                f"a vector of period {period} does not fit the {self.slots} slots of degree {self.degree}"
            )
