"""Repeated work as CUDA graphs: thousands of launches for the price of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from aegis_fhe.ring.calls import CapturedCalls


class CudaGraphs(CapturedCalls):
    """Graphs of one GPU, each with a pool of memory of its own, which holds its results between replays."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def _capture(self, run: Callable[[], Sequence[Tensor]]) -> tuple[Sequence[Tensor], Callable[[], None]]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device), torch.cuda.graph(graph):
            results = run()
        return results, graph.replay
