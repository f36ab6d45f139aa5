"""What a device does, written into its log as it goes: nodes, waiting, exchanges, memory."""

from __future__ import annotations

import time

from aegis_fhe.observe.trace import TraceLog
from aegis_fhe.program.graph import Node
from aegis_fhe.ring.arena import Arena
from aegis_fhe.runtime.ledger import Ledger
from aegis_fhe.runtime.mesh.connect import MeshCommunicators
from aegis_fhe.runtime.mesh.execute import MeshProgram
from aegis_fhe.runtime.mesh.flights import Ready
from aegis_fhe.runtime.mesh.observer import Step

LEAST_S = 20e-6
"""What is shorter is what it takes to go from a node to the next, this log included."""


class TracedSteps:
    """A `StepObserver` that writes spans of three lanes and a curve.

    compute: a node, with its operator, stage, levels of its first input and result, and its form. wait: what
    passed before a node, or before an exchange ended. communication: every entry of the ledgers, limbs
    exchanged inside nodes included. memory, in bytes: `in_use` of the arena and `peak` inside the node;
    `alive`, values here and under way before it.
    """

    def __init__(
        self, log: TraceLog, program: MeshProgram, communicators: MeshCommunicators, arena: Arena
    ) -> None:
        self.log, self.program, self.arena = log, program, arena
        every = (communicators.tokens, communicators.limbs, communicators.team)
        self._written: list[tuple[Ledger, int]] = [(one.ledger, 0) for one in every]
        # Ledgers are in UNIX seconds, steps on a clock that nobody sets.
        self._unix = time.time() - time.monotonic()

    def begin(self) -> None:
        """What the ledgers have so far is not of this run."""
        self._written = [(ledger, len(ledger.entries)) for ledger, _ in self._written]

    def after(self, step: Step, waited: float, began: float, ended: float) -> None:
        """As `StepObserver`."""
        start, end = self._unix + began, self._unix + ended
        if began - waited >= LEAST_S:
            what = step.node.name if isinstance(step, Ready) else f"end of {step.stage}"
            self.log.add(f"for {what}", "wait", self._unix + waited, start, stage=step.stage)
        if isinstance(step, Ready):
            self._computed(step.node, start, end)
            held = self.arena.bytes()
            counts = {"in_use": held.in_use, "peak": held.peak_in_use, "alive": step.alive_bytes}
            self.log.count("memory", end, **counts)
        self._written = [(ledger, ledger.trace_to(self.log, first)) for ledger, first in self._written]

    def _computed(self, node: Node, start: float, end: float) -> None:
        symbols = self.program.symbols
        self.log.add(
            node.name,
            "compute",
            start,
            end,
            operator=type(node.operator).__name__,
            stage=node.stage,
            block=node.block,
            level_in=symbols[node.inputs[0]].level if node.inputs else None,
            level=symbols[node.outputs[0]].level,
            form=self.program.schedule.assignment.form(node),
        )
