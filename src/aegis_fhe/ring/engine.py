"""What runs the operations of a ring: this machine's processor, a GPU, or the one in place of the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from aegis_fhe.ring import _kernels, native
from aegis_fhe.ring.arena import Arena
from aegis_fhe.ring.calls import Calls
from aegis_fhe.ring.copies import Copies

# Of an emulated GPU: log2 of the values that a pass of a transform takes (two passes from N = 2^9 on), and
# whether the threads of a phase run in the other order.
EMULATED_TILE, EMULATED_BACKWARDS = 8, False


@dataclass(frozen=True)
class Engine:
    """The native operations of one ring, where their tensors lie, where new ones come from, how others get
    there, and how work that repeats is called.
    """

    operations: _kernels.Ring
    device: torch.device
    arena: Arena
    copies: Copies
    calls: Callable[[], Calls]


def build(
    log_degree: int, moduli: Sequence[int], roots: Sequence[int], path: str, arena: Arena | None
) -> Engine:
    """The engine of a path that `native.choose_path` knows; results and scratch come from the arena."""
    if native.on_gpu(path):
        from aegis_fhe.ring.cuda.arena import CudaArena
        from aegis_fhe.ring.cuda.copies import CudaCopies
        from aegis_fhe.ring.cuda.device import check_device, open_device
        from aegis_fhe.ring.cuda.graphs import CudaGraphs

        device = check_device(path)
        own = arena if isinstance(arena, CudaArena) else CudaArena(device)
        operations = open_device(device).operations(log_degree, moduli, roots, own)
        return Engine(operations, device, own, CudaCopies(own), partial(CudaGraphs, device))
    memory = Arena() if arena is None else arena
    if native.off_host(path):
        words = path.endswith("words")
        operations = _kernels.Ring.emulated(
            log_degree, moduli, roots, words, EMULATED_TILE, EMULATED_BACKWARDS, memory.native
        )
    else:
        operations = _kernels.Ring(log_degree, moduli, roots, path, memory.native)
    return Engine(operations, torch.device("cpu"), memory, Copies(memory), Calls)
