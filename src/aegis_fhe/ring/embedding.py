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
    each result comes from the same IEEE operations in the same order, fused where the source says so and
    nowhere else, and the roots of unity are computed without the library's trigonometric functions.

    Error, in the 2-norm relative to the result: below 7 u log2 n, u = 2^-53 (Higham, Accuracy and Stability
    of Numerical Algorithms, Theorem 24.2, with roots rounded to nearest); about 0.6 u sqrt(log2 n) in
    practice (numpy.fft: 0.67). Cost: about 4 n log2 n real operations, in passes of radix 4 without a
    permutation (csrc/embedding_stages.h).

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

    def interpolate(
        self, values: Complex, scale: float, out: NDArray[np.int64], rows: Sequence[int] | None = None
    ) -> float:
        """out[rows[k], i step] = round(scale * m_i), m the polynomial with values values[k]; ties to even.

        values: complex128 [K, n], n a power of two. out: int64 [R, 2n step], any step; the entries between
        and the other rows are left alone. rows: K of the R, by default all. Returns the largest
        |scale * m_i| of all, NaN when there is one; where it is 2^62 or more the integers are of no use.
        Raises LayoutError for other shapes, types or strides.
        """
        size = self._check("values", values, np.complex128, 1)
        if out.ndim != 2 or out.dtype != np.int64 or not out.flags.c_contiguous or out.shape[1] % (2 * size):
            raise LayoutError(
                f"out is {out.dtype} {list(out.shape)}; contiguous int64 [rows, a multiple of {2 * size}] is "
                "expected"
            )
        index = list(range(len(out)) if rows is None else rows)
        if len(index) != len(values) or min(index, default=0) < 0 or max(index, default=0) >= len(out):
            raise LayoutError(
                f"rows {index} of {len(out)} for {len(values)} vectors; one for each is expected"
            )
        if not index:
            return 0.0
        log_n, step = size.bit_length() - 1, out.shape[1] // (2 * size)
        return self._native.encode(values.ctypes.data, log_n, scale / size, out.ctypes.data, index, step)

    def evaluate(self, coefficients: Real, factor: float) -> Complex:
        """factor times the values of the polynomials: float64 [K, 2n] -> complex128 [K, n].

        Raises LayoutError for other shapes, types or strides.
        """
        size = self._check("coefficients", coefficients, np.float64, 2)
        out = np.empty((len(coefficients), size), dtype=np.complex128)
        self._native.decode(
            coefficients.ctypes.data, len(out), size.bit_length() - 1, factor, out.ctypes.data
        )
        return out

    def _check(self, name: str, x: NDArray[np.generic], dtype: type, parts: int) -> int:
        """n of an array [K, parts n], a power of two up to the number of slots."""
        size = x.shape[1] // parts if x.ndim == 2 else 0
        fits = 1 <= size <= self.slots and size & (size - 1) == 0 and x.shape[1] == parts * size
        if not fits or x.dtype != dtype or not x.flags.c_contiguous:
            raise LayoutError(
                f"{name} is {x.dtype} {list(x.shape)}; contiguous {np.dtype(dtype)} [count, a power of two "
                f"from {parts} to {parts * self.slots}] is expected"
            )
        return size
