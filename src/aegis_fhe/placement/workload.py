"""What is to be planned, and for which machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.placement.evaluate import Machine
from aegis_fhe.program.long.shape import Degrees, LayerShape

Objective = Literal["time", "bytes"]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One of a model's equal layers on texts of a length, and where it is to run."""

    shape: LayerShape
    degrees: Degrees
    tokens: int
    bootstrap: BootstrapPlan
    machine: Machine
    devices: int
    memory_bytes: int
    objective: Objective = "time"
