"""Rows of work over threads: for steps that alternate between Python's libraries and kernels."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aegis_fhe.ring import native


def for_each(count: int, work: Callable[[int], None]) -> None:
    """work(0), ..., work(count - 1), in any order, on up to `native.get_threads()` threads.

    Kernels and the cipher release the interpreter lock, so the threads run at the same time. `work` should
    call kernels on one row at a time, which they do not spread any further. The first exception is raised.
    """
    threads = min(native.get_threads(), count)
    if threads <= 1:
        for index in range(count):
            work(index)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, range(count)):
            pass
