"""Memory of a GPU: torch's own allocator, which keeps what is freed and knows streams and graphs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from aegis_fhe.errors import CapacityError
from aegis_fhe.ring.arena import Arena, ArenaBytes


class CudaArena(Arena):
    """Tensors on one GPU. What it tells is what torch's allocator tells of it, all its users together."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def empty(self, shape: Sequence[int]) -> Tensor:
        """An uninitialised int64 tensor on the device. Raises CapacityError when it has no memory left."""
        try:
            return torch.empty(tuple(shape), dtype=torch.int64, device=self.device)
        except torch.OutOfMemoryError as error:
            raise CapacityError(
                f"no memory on {self.device} for a tensor of shape {list(shape)}: {error}"
            ) from error

    def take(self, size: int) -> int:
        """The address of so many bytes, for kernels' scratch on the current stream."""
        stream = torch.cuda.current_stream(self.device)
        try:
            return int(torch.cuda.caching_allocator_alloc(size, self.device, stream))
        except torch.OutOfMemoryError as error:
            raise CapacityError(f"no memory on {self.device} for {size} bytes of scratch: {error}") from error

    def give(self, address: int) -> None:
        """Takes them back; launches before this still have them."""
        torch.cuda.caching_allocator_delete(address)  # type: ignore[no-untyped-call]

    def reserve(self, size: int) -> None:
        """Have so many bytes cached."""
        try:
            torch.empty(size, dtype=torch.uint8, device=self.device)
        except torch.OutOfMemoryError as error:
            raise CapacityError(
                f"no memory on {self.device} for the {size / 2**30:.2f} GiB: {error}"
            ) from error

    def bytes(self) -> ArenaBytes:
        """Of tensors and scratch; held: with what is cached."""
        found = torch.cuda.memory_stats(self.device)
        in_use, held = found.get("allocated_bytes.all.current", 0), found.get("reserved_bytes.all.current", 0)
        return ArenaBytes(
            in_use=in_use,
            cached=held - in_use,
            peak_in_use=found.get("allocated_bytes.all.peak", 0),
            peak_held=found.get("reserved_bytes.all.peak", 0),
        )

    @property
    def blocks_made(self) -> int:
        """How often memory was asked of the driver."""
        return int(torch.cuda.memory_stats(self.device).get("segment.all.allocated", 0))

    def trim(self) -> int:
        """Return all cached memory to the driver; how many bytes that was."""
        before = self.bytes().cached
        torch.cuda.empty_cache()
        return before - self.bytes().cached

    def reset_peaks(self) -> None:
        """Let the peaks start again at what is held now."""
        torch.cuda.reset_peak_memory_stats(self.device)
