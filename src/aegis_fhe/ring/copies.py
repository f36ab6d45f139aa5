"""Tensors on their way from the host's memory to where a ring's kernels are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from torch import Tensor

from aegis_fhe.ring.arena import Arena

Arriving: TypeAlias = Callable[[], list[Tensor]]
"""Waits, as far as kernels that are launched from now on need it, and gives the tensors."""


class Copies:
    """Copies within one memory, made at once: what a GPU's kernels get where threads are emulated."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena

    def held(self, x: Tensor) -> Tensor:
        """x in memory of the host that copies can be made of in the background."""
        return x.cpu()

    def begin(self, tensors: Sequence[Tensor]) -> Arriving:
        """Begin to copy held tensors."""
        found = [self.arena.copy(x) for x in tensors]
        return lambda: found
