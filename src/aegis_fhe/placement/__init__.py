"""Which device holds what, and what therefore crosses between devices. Runs without any device."""

from aegis_fhe.placement.memory import MemoryEstimate, estimate_memory
from aegis_fhe.placement.plan import Plan, Stage, ValueTransfer, plan_tokens

__all__ = ["MemoryEstimate", "Plan", "Stage", "ValueTransfer", "estimate_memory", "plan_tokens"]
