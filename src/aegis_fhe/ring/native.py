"""The compiled kernels: which paths this machine can run, and how many threads they use."""

from __future__ import annotations

from aegis_fhe.errors import ParameterError
from aegis_fhe.ring import _kernels


def available_paths() -> tuple[str, ...]:
    """Names of the kernel paths this machine can run, best first; all give the same bits.

    "avx512ifma" (52-bit integer products), "avx512" and "avx2" (FP64 fused multiply-add on 8 and 4 lanes) and
    "portable" (64-bit scalar).
    A Ring also takes "emulated-ifma": the IFMA kernels over emulated instructions, slow and for tests only.
    """
    return tuple(_kernels.available_paths())


def default_path() -> str:
    """The path of a Ring that names none: the best available one."""
    return available_paths()[0]


def choose_path(path: str | None = None) -> str:
    """`path`, or the default one. Raises ParameterError, which lists the paths, when it cannot run here."""
    if path is None:
        return default_path()
    known = (*available_paths(), "emulated-ifma")
    if path not in known:
        raise ParameterError(f"kernel path {path!r} cannot run here; available: {', '.join(known)}")
    return path


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
