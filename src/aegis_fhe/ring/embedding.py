"""The canonical embedding in double precision: complex slot values <-> real polynomial coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import LayoutError, ParameterError
from aegis_fhe.ring import _kernels

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]


class Embedding:
    """Polynomials m of 2n real coefficients and their values m(exp(i pi 5^j / 2n)), j < n, n <= slots.

    Immutable, safe to use from several threads. Every path, number of threads and batch gives the same bits:
    each result comes from the same IEEE operations in the same order, none of them fused, and the roots of
    unity are computed without the library's trigonometric functions.

    Error, in the 2-norm relative to the result: below 7 u log2 n, u = 2^-53 (Higham, Accuracy and Stability
    of Numerical Algorithms, Theorem 24.2, with roots rounded to nearest); about 0.3 u sqrt(log2 n) in
    practice. Cost: (5/2) n log2 n real operations, in passes of radix 4 without a permutation
    (csrc/embedding_stages.h).

    path: one of "avx512", "avx2" and "portable", by default the best that runs here. Raises ParameterError
    for a path that does not, and unless slots is a power of two.
    """

    def __init__(self, slots: int, path: str | None = None) -> None:
        if slots < 1 or slots & (slots - 1):
            raise ParameterError(f"{slots} slots asked for; a power of two is expected")
        known = _kernels.available_loops()
        if path is not None and path not in known:
            raise ParameterError(f"embedding path {path!r} cannot run here; available: {', '.join(known)}")
        self.slots = slots
        self._native = _kernels.Embedding(slots.bit_length() - 1, path or "")

    @property
    def path(self) -> str:
        """Name of the instruction set in use."""
        return self._native.path

    def interpolate(self, values: Sequence[Complex], scale: float, out: Sequence[NDArray[np.int64]]) -> float:
        """out[k][i step] = round(scale * m_i), m the polynomial with the values values[k]; ties to even.

        values[k]: complex128 [n]. out[k]: int64 [2n step], any power of two as step; the entries between are
        left alone. Returns the largest |scale * m_i| of all (NaN when there is one); where it is 2^62 or more
        the integers are of no use. Raises LayoutError for other shapes, types or strides.
        """
        size = self._check("values", values, np.complex128, self.slots)
        length = self._check("out", out, np.int64, None)
        if len(out) != len(values) or length % (2 * size):
            raise LayoutError(
                f"{len(out)} rows of {length} coefficients for {len(values)} vectors of {size} values; "
                "equally many rows are expected, their length a multiple of twice the number of values"
            )
        return self._native.encode(
            [v.ctypes.data for v in values],
            size.bit_length() - 1,
            scale / size,
            [row.ctypes.data for row in out],
            length // (2 * size),
        )

    def evaluate(self, coefficients: Sequence[Real], factor: float) -> list[Complex]:
        """factor times the values of the polynomials coefficients[k]: float64 [2n] -> complex128 [n].

        Raises LayoutError for other shapes, types or strides.
        """
        size = self._check("coefficients", coefficients, np.float64, 2 * self.slots) // 2
        if size == 0:
            raise LayoutError("polynomials of one coefficient given; at least two are expected")
        out = [np.empty(size, dtype=np.complex128) for _ in coefficients]
        self._native.decode(
            [c.ctypes.data for c in coefficients],
            size.bit_length() - 1,
            factor,
            [row.ctypes.data for row in out],
        )
        return out

    def _check(self, name: str, rows: Sequence[NDArray[np.generic]], dtype: type, largest: int | None) -> int:
        """The common length of the rows, a power of two up to `largest`."""
        size = rows[0].size if len(rows) else 0
        for row in rows:
            if row.dtype != dtype or row.shape != (size,) or not row.flags.c_contiguous:
                raise LayoutError(
                    f"{name} holds {row.dtype} {list(row.shape)}; contiguous {np.dtype(dtype)} [{size}] is "
                    "expected"
                )
        if size < 1 or size & (size - 1) or (largest is not None and size > largest):
            raise LayoutError(f"{name} has rows of {size}; a power of two is expected, up to {largest}")
        return size
