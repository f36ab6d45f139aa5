"""A layer that is planned in a moment, on two devices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.placement.cost import load_device, load_network
from aegis_fhe.placement.evaluate import Machine
from aegis_fhe.placement.workload import Workload
from aegis_fhe.program.long.shape import Degrees, LayerShape

PLENTY = 1 << 50
SHAPE = LayerShape.encoder(features=64, heads=4, hidden=256)


def small_workload(**changes: Any) -> Workload:
    """64 tokens on N = 2^10, with memory for everything."""
    workload = Workload(
        shape=SHAPE,
        degrees=Degrees(),
        tokens=64,
        bootstrap=presets.insecure(10, levels_left=14),
        machine=Machine(device=load_device("a100"), network=load_network("a100-nvlink")),
        devices=2,
        memory_bytes=PLENTY,
    )
    return replace(workload, **changes)
