"""The compiled kernels: which paths this machine can run, and how many threads they use."""

from __future__ import annotations

from aegis_fhe.errors import ParameterError
from aegis_fhe.ring import _kernels


def available_paths() -> tuple[str, ...]:
    """Names of the kernel paths this machine can run, best first; all give the same bits.

    "avx512ifma" (52-bit integer products), "avx2" (FP64 fused multiply-add) and "portable" (64-bit scalar).
    A Ring also takes "emulated-ifma": the IFMA kernels over emulated instructions, slow and for tests only.
    """
    return tuple(_kernels.available_paths())


def get_threads() -> int:
    """Threads an operation may use; at first what OpenMP says (OMP_NUM_THREADS or all processors)."""
    return _kernels.get_threads()


def set_threads(count: int) -> None:
    """Let every operation of this process use up to `count` threads (without OpenMP always one).

    Results do not depend on it. Raises ParameterError when count < 1.
    """
    if count < 1:
        raise ParameterError(f"{count} threads asked for; use at least 1")
    _kernels.set_threads(count)
