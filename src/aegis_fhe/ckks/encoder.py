"""Slot values <-> integer polynomials: the canonical embedding of CKKS, by a float64 FFT.

Slot j of a real polynomial m in Z[X]/(X^M + 1) is m(zeta^(5^j)), zeta = exp(i pi / M), j < M/2 (ePrint
2016/421, §3; the order by powers of 5 makes X -> X^5 a rotation by one slot to the left). Since X^(M/2) = i
at all these points, c_k = m_k + i m_(k + M/2), k < M/2, holds the whole polynomial, and one complex FFT of
length M/2 evaluates it.

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

COEFFICIENT_BITS = 62


class Encoder:
    """Encoder of one ring degree N; keeps the tables (indices of 5^j, twists) of each period it has met."""

    def __init__(self, degree: int) -> None:
        self.degree = degree
        self._tables: dict[int, tuple[NDArray[np.int64], NDArray[np.complex128]]] = {}

    @property
    def slots(self) -> int:
        """N / 2."""
        return self.degree // 2

    def encode(self, vector: SlotVector, scale: float) -> torch.Tensor:
        """Coefficients round(scale * m), m the polynomial with m(zeta^(5^j)) = vector[j].

        Out: int64 [M], M = 2 * period (M = N for a dense vector), signed, |coefficient| < 2^62; a polynomial
        in X^(N/M). Rounding is to the nearest integer of the float64 value. Cost: one complex FFT of length
        M/2. Raises LayoutError for a period beyond N/2, ScaleError for a coefficient of 2^62 and more.
        """
        self._check_period(vector.period)
        return torch.from_numpy(self._encode_rows(vector.values[None, :], scale)[0])

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
            out[rows, :: period // own] = self._encode_rows(values, scale)
        return torch.from_numpy(out)

    def decode(self, coefficients: NDArray[np.float64], scale: float) -> SlotVector:
        """Slot values m(zeta^(5^j)) / scale of float64 coefficients [M]; complex128 [M/2]."""
        size = coefficients.shape[0]
        self._check_period(size // 2)
        index, twist = self._table(size)
        half = size // 2
        folded = (coefficients[:half] + 1j * coefficients[half:]) * (np.conj(twist) / scale)
        return SlotVector((np.fft.ifft(folded) * half)[index])

    def _encode_rows(self, values: NDArray[Any], scale: float) -> NDArray[np.int64]:
        """[K, p] slot values -> [K, 2p] integer coefficients."""
        period = values.shape[1]
        index, twist = self._table(2 * period)
        points = np.empty(values.shape, dtype=np.complex128)
        points[:, index] = values
        folded = np.fft.fft(points, axis=1) * (twist * (scale / period))
        coefficients = np.rint(np.concatenate((folded.real, folded.imag), axis=1))
        largest = float(np.abs(coefficients).max())
        if not largest < 2.0**COEFFICIENT_BITS:
            raise ScaleError(
                f"an encoded coefficient reaches {largest:.4g} at scale 2^{np.log2(scale):.2f}; it must stay "
                f"below 2^{COEFFICIENT_BITS}: lower the scale or the values"
            )
        return np.asarray(coefficients, dtype=np.int64)

    def _table(self, size: int) -> tuple[NDArray[np.int64], NDArray[np.complex128]]:
        """For degree M = size: position (5^j - 1)/4 of slot j in the FFT, and exp(-i pi k / M), k < M/2."""
        if size not in self._tables:
            half = size // 2
            powers = np.ones(1, dtype=np.int64)
            while powers.size < half:
                powers = np.concatenate((powers, powers * pow(5, powers.size, 2 * size) % (2 * size)))
            twist = np.exp(-1j * np.pi * np.arange(half) / size)
            self._tables[size] = ((powers - 1) // 4 % half, twist)
        return self._tables[size]

    def _check_period(self, period: int) -> None:
        if period > self.slots:
            raise LayoutError(
                f"a vector of period {period} does not fit the {self.slots} slots of degree {self.degree}"
            )
