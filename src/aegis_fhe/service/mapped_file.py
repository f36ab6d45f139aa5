"""A file's bytes as a tensor without reading them: pages of the file cache, shared with other readers."""

from __future__ import annotations

import mmap

import torch
from torch import Tensor


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
