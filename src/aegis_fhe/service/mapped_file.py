"""A file through its pages in the system cache: read without a copy, written by several threads at once."""

from __future__ import annotations

import mmap
import os

import numpy as np
import torch
from torch import Tensor

MAPPED_FROM_BYTES = 1 << 20


def map_file(file: int, length: int) -> Tensor | None:
    """uint8 [length], the bytes of an open file; None where it cannot be mapped (a pipe, some network disks).

    The map is private: what is written to the tensor never reaches the file. It lives as long as a tensor
    views it, longer than `file` is open. What others write to the file meanwhile may or may not be seen, and
    a file cut short ends the process at the next touch (SIGBUS): map only what nobody else writes to.
    """
    try:
        pages = mmap.mmap(file, length, flags=mmap.MAP_PRIVATE)
    except (OSError, ValueError, AttributeError):
        return None
    return torch.frombuffer(pages, dtype=torch.uint8)


def write_at(file: int, data: memoryview, offset: int) -> int:
    """Writes `data`, or the beginning of it, into a file open for both; how many bytes. Raises OSError.

    `pwrite` locks the file while the system finds and clears pages for it, most of the time of a large write;
    pages that are mapped are cleared by as many threads as touch them. Their place on the disk is reserved
    first, so that a full disk is an error here and not a signal.
    """
    if len(data) < MAPPED_FROM_BYTES:
        return os.pwrite(file, data, offset)
    os.posix_fallocate(file, offset, len(data))
    skipped = offset % mmap.ALLOCATIONGRANULARITY
    try:
        pages = mmap.mmap(file, skipped + len(data), offset=offset - skipped)
    except (OSError, ValueError):
        return os.pwrite(file, data, offset)
    with pages:
        np.frombuffer(pages, dtype=np.uint8)[skipped:] = np.frombuffer(data, dtype=np.uint8)
    return len(data)
