"""How far a device is, told node by node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aegis_fhe.observe.progress import ProgressSink
from aegis_fhe.runtime.mesh.flights import Ready
from aegis_fhe.runtime.mesh.observer import Step


@dataclass(frozen=True)
class ReportedSteps:
    """A `StepObserver`. weights: of this device's nodes by name, such as their predicted seconds."""

    sink: ProgressSink
    weights: Mapping[str, float]

    def begin(self) -> None:
        """Nothing is done yet of what counts."""

    def after(self, step: Step, waited: float, began: float, ended: float) -> None:
        """Each node counts for its weight, and is called by its stage."""
        if isinstance(step, Ready):
            self.sink.advance(step.stage, self.weights[step.node.name])
