"""Where residue tensors come from: a pool that reuses the memory of tensors that are no more.

A ciphertext at N = 2^16 takes tens of megabytes. From the system's allocator each one is new memory, whose
pages the kernel zeroes one by one at their first touch, which takes longer than most operations on them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from aegis_fhe.errors import CapacityError
from aegis_fhe.ring import _kernels

SLACK_BYTES = 128 << 20


@dataclass(frozen=True, kw_only=True)
class ArenaBytes:
    """What an arena holds, in bytes of blocks (up to 1/8 more than the tensors in them).

    peak_in_use, peak_held: the most of in_use, and of in_use + cached, so far.
    """

    in_use: int
    cached: int
    peak_in_use: int
    peak_held: int


class Arena:
    """A pool of memory, safe to use from several threads; small tensors too come from it (0.8 us, torch's own
    allocator 1.2), so that it tells all that values take.

    Before it asks the system for memory it gives back what exceeds its fullest moment and `slack_bytes`,
    the blocks unused for longest first. When it dies, which is after its last tensor, it gives back all.
    """

    def __init__(self, slack_bytes: int = SLACK_BYTES) -> None:
        self.native = _kernels.Arena(slack_bytes)

    def empty(self, shape: Sequence[int]) -> Tensor:
        """An uninitialised int64 tensor. Its memory returns here when the last tensor that views it dies.

        Raises CapacityError when the system has no memory left.
        """
        count = math.prod(shape)
        try:
            if count == 0:
                return torch.empty(tuple(shape), dtype=torch.int64)
            return from_dlpack(self.native.tensor(shape, count * 8))
        except MemoryError as error:
            raise CapacityError(
                f"no memory for a tensor of shape {list(shape)} ({count * 8 / 2**20:.1f} MiB) besides the "
                f"{self.bytes().in_use / 2**20:.1f} MiB in use: close other programs or use a larger machine"
            ) from error

    def reserve(self, size: int) -> None:
        """Have so many bytes cached, touched, and keep them as if they had been in use.

        What then takes no more waits for hardly a page: shapes may leave gaps in it that are of no use.
        Raises CapacityError when the system has no memory left.
        """
        try:
            self.native.reserve(size)
        except MemoryError as error:
            raise CapacityError(
                f"no memory for the {size / 2**30:.2f} GiB that were to be ready: close other programs or "
                "use a larger machine"
            ) from error

    def zeros(self, shape: Sequence[int]) -> Tensor:
        """As `empty`, all zero."""
        return self.empty(shape).zero_()

    def copy(self, x: Tensor) -> Tensor:
        """A contiguous copy of an int64 tensor."""
        return self.empty(x.shape).copy_(x)

    def copy_into(self, x: Tensor, out: Tensor) -> None:
        """Copies x to memory that is there already."""
        out.copy_(x)

    def stack(self, tensors: Sequence[Tensor]) -> Tensor:
        """Tensors of one shape along a new first axis."""
        return torch.stack(list(tensors), out=self.empty((len(tensors), *tensors[0].shape)))

    def bytes(self) -> ArenaBytes:
        """What it holds now, and at most so far."""
        in_use, cached, peak_in_use, peak_held, _ = self.native.counters()
        return ArenaBytes(in_use=in_use, cached=cached, peak_in_use=peak_in_use, peak_held=peak_held)

    @property
    def blocks_made(self) -> int:
        """How often memory was asked of the system."""
        return self.native.counters()[4]

    def trim(self) -> int:
        """Return all cached memory to the system; how many bytes that was."""
        return self.native.trim()

    def reset_peaks(self) -> None:
        """Let the peaks start again at what is held now."""
        self.native.reset_peaks()
