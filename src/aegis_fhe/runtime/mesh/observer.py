"""Who is told what a device does while it executes a schedule, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from aegis_fhe.placement.moves import Exchange
from aegis_fhe.runtime.mesh.flights import Cut, Ready

Step: TypeAlias = Ready | Exchange | Cut
"""What has a `stage`; of nodes more is known."""


class StepObserver(Protocol):
    """Told after every step, in the order of this device's steps."""

    def begin(self) -> None:
        """Before the first step, behind what is restored of an earlier run."""

    def after(self, step: Step, waited: float, began: float, ended: float) -> None:
        """A node was computed, an exchange ended, or a state was saved.

        Seconds of `time.monotonic`: the device waited from `waited` to `began`, then computed, or saved,
        until `ended`. What this takes is time of the next step's waiting.
        """


class Unobserved:
    """Nobody: 0.1 us a step."""

    def begin(self) -> None:
        """Nothing."""

    def after(self, step: Step, waited: float, began: float, ended: float) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Observers:
    """Several, told one after the other."""

    every: Sequence[StepObserver]

    def begin(self) -> None:
        """As each of them."""
        for one in self.every:
            one.begin()

    def after(self, step: Step, waited: float, began: float, ended: float) -> None:
        """As each of them."""
        for one in self.every:
            one.after(step, waited, began, ended)
