"""Which device holds what, and what therefore crosses between devices. Runs without any device.

Names load when they are first used: costs and placements of limbs are plain arithmetic and need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aegis_fhe.placement.memory import MemoryEstimate as MemoryEstimate
    from aegis_fhe.placement.memory import estimate_memory as estimate_memory
    from aegis_fhe.placement.plan import Plan as Plan
    from aegis_fhe.placement.plan import Stage as Stage
    from aegis_fhe.placement.plan import ValueTransfer as ValueTransfer
    from aegis_fhe.placement.plan import plan_tokens as plan_tokens

_HOME = {
    "MemoryEstimate": "aegis_fhe.placement.memory",
    "Plan": "aegis_fhe.placement.plan",
    "Stage": "aegis_fhe.placement.plan",
    "ValueTransfer": "aegis_fhe.placement.plan",
    "estimate_memory": "aegis_fhe.placement.memory",
    "plan_tokens": "aegis_fhe.placement.plan",
}

__all__ = ["MemoryEstimate", "Plan", "Stage", "ValueTransfer", "estimate_memory", "plan_tokens"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'aegis_fhe.placement' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
