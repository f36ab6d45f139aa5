"""Copies to a GPU beside its kernels: from pinned memory, on a stream of their own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from aegis_fhe.ring.copies import Arriving, Copies
from aegis_fhe.ring.cuda.arena import CudaArena


class CudaCopies(Copies):
    """One stream: copies follow each other, and kernels wait only for what they use."""

    def __init__(self, arena: CudaArena) -> None:
        super().__init__(arena)
        self._device = arena.device
        self._stream = torch.cuda.Stream(arena.device)  # type: ignore[no-untyped-call]

    def held(self, x: Tensor) -> Tensor:
        """In pinned memory, which the GPU reads by itself."""
        return x.cpu().pin_memory()

    def begin(self, tensors: Sequence[Tensor]) -> Arriving:
        """Begin to copy pinned tensors; their memory must not change before they arrive."""
        with torch.cuda.stream(self._stream):
            found = [x.to(self._device, non_blocking=True) for x in tensors]
            copied = self._stream.record_event()

        def arrived() -> list[Tensor]:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(copied)
            for x in found:
                x.record_stream(current)  # its memory is not given to the copies' stream before kernels end
            return found

        return arrived
