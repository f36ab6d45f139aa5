"""Runs one device's share of a schedule; a single device is a mesh of 1 x 1."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import release, run_node
from aegis_fhe.program.operators import Context
from aegis_fhe.runtime.limbs import LimbEvaluator
from aegis_fhe.runtime.mesh.connect import MeshCommunicators
from aegis_fhe.runtime.mesh.values import Values


@dataclass
class MeshExecution:
    """What a device made: its rows of the results that its group, or the team, computes; seconds by stage."""

    results: dict[str, Ciphertext] = field(default_factory=dict)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


@dataclass(frozen=True, kw_only=True)
class MeshProgram:
    """A schedule and what is known of its values. limbs: of one group; symbols: level, scale, components."""

    schedule: Schedule
    limbs: LimbPlacement
    symbols: Mapping[str, Symbol]
    results: tuple[str, ...]

    @property
    def layout(self) -> MeshLimbs:
        """Which limbs lie where."""
        return MeshLimbs(self.schedule.mesh, self.limbs)

    @cached_property
    def forms(self) -> dict[str, Form]:
        """In which form each value is made."""
        form, nodes = self.schedule.assignment.form, (n for one in self.schedule.rounds for n in one.nodes)
        return {value: form(node) for node in nodes for value in node.outputs}


def execute_schedule(
    program: MeshProgram,
    evaluator: Evaluator,
    communicators: MeshCommunicators,
    inputs: Mapping[str, Ciphertext],
    context: Context,
    *,
    team: LimbEvaluator | None = None,
) -> MeshExecution:
    """inputs: this device's rows of the input ciphertexts that its group, or the team, computes with.

    evaluator: of its group, a LimbEvaluator where limbs are shared; team: on `communicators.team`, for plans
    with nodes of all devices together. Values are forgotten after their last use on this device. Raises
    CompatibilityError for such a plan without a team.
    """
    evaluators: dict[Form, Evaluator] = {"whole": evaluator}
    if team is not None:
        evaluators["shared"] = team
    return _Run(program, evaluators, communicators, context).run(inputs)


class _Run:
    def __init__(
        self,
        program: MeshProgram,
        evaluators: dict[Form, Evaluator],
        communicators: MeshCommunicators,
        context: Context,
    ) -> None:
        self.program, self.evaluators, self.context = program, evaluators, context
        self.plan, self.group = program.schedule, communicators.group
        self.values = Values(program.layout, program.symbols, evaluators, communicators)
        self.mine = self.plan.nodes_of(self.group)
        self.form_of = {v: self.plan.assignment.form(node) for node in self.mine for v in node.outputs}

    def run(self, inputs: Mapping[str, Ciphertext]) -> MeshExecution:
        missing = {self.plan.assignment.form(node) for node in self.mine} - set(self.evaluators)
        if missing:
            raise CompatibilityError(
                "this plan has nodes whose limbs all devices share: give the evaluator of the team"
            )
        self.values.left = self.plan.uses(self.group, self.program.results)
        for name, value in inputs.items():
            if name in self.form_of:
                self.values.here[self.form_of[name]][name] = value
        execution = MeshExecution()
        for one in self.plan.rounds:
            for exchange in one.exchanges:
                start = time.monotonic()
                self.values.exchange(exchange)
                execution.seconds[exchange.stage] += time.monotonic() - start
            for node in one.nodes:
                if self.group in self.plan.assignment.groups(node):
                    start = time.monotonic()
                    self._compute(node)
                    execution.seconds[node.stage] += time.monotonic() - start
        execution.results = {
            name: self.values.here[self.form_of[name]][name]
            for name in self.program.results
            if name in self.form_of
        }
        return execution

    def _compute(self, node: Node) -> None:
        form = self.plan.assignment.form(node)
        evaluator, here = self.evaluators[form], self.values.here[form]
        if isinstance(evaluator, LimbEvaluator):
            evaluator.exchange.node = node.stage
        run_node(node, evaluator, here, self.context)
        release(node, self.values.left[form], here)
