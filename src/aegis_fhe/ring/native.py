"""The compiled kernels: which paths this machine can run, and how many threads they use."""

from __future__ import annotations

from aegis_fhe.errors import ParameterError
from aegis_fhe.ring import _kernels

# The IFMA kernels over emulated instructions; those of a GPU over emulated threads, in doubles and in words.
EMULATED = ("emulated-ifma", "emulated-gpu", "emulated-gpu-words")


def available_paths() -> tuple[str, ...]:
    """Names of the kernel paths this machine can run, best first; all give the same bits.

    "avx512ifma" (52-bit integer products), "avx512" and "avx2" (FP64 fused multiply-add on 8 and 4 lanes) and
    "portable" (64-bit scalar).
    A Ring also takes those of EMULATED, which are slow and for tests only.
    """
    return tuple(_kernels.available_paths())


def default_path() -> str:
    """The path of a Ring that names none: the best available one."""
    return available_paths()[0]


def choose_path(path: str | None = None) -> str:
    """`path`, or the default one. Raises ParameterError, which lists the paths, when it cannot run here.

    "cuda" and "cuda:1" are the kernels of a GPU, of the current one and of that.
    """
    if path is None:
        return default_path()
    if on_gpu(path):
        from aegis_fhe.ring.cuda.device import check_device

        check_device(path)
        return path
    known = (*available_paths(), *EMULATED)
    if path not in known:
        raise ParameterError(f"kernel path {path!r} cannot run here; available: {', '.join(known)}")
    return path


def on_gpu(path: str) -> bool:
    """Whether a path names a GPU, whose tensors lie there."""
    return path.partition(":")[0] == "cuda"


def off_host(path: str) -> bool:
    """Whether a path's kernels are a GPU's, real or emulated: they do not touch secrets (see `Ring.host`)."""
    return on_gpu(path) or path.startswith("emulated-gpu")


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
