"""Runs one device's share of a schedule; a single device is a mesh of 1 x 1."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from functools import cached_property

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.placement.shape_memory import DeviceMemory
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import release, run_node
from aegis_fhe.program.operators import Context
from aegis_fhe.runtime.gpus import finish
from aegis_fhe.runtime.limbs import LimbEvaluator
from aegis_fhe.runtime.mesh.checkpoints import Checkpoints, DeviceState, Measured, restore, values_at
from aegis_fhe.runtime.mesh.connect import MeshCommunicators
from aegis_fhe.runtime.mesh.flights import Cut, Flights, Ready
from aegis_fhe.runtime.mesh.held import HeldMemory
from aegis_fhe.runtime.mesh.observer import StepObserver, Unobserved
from aegis_fhe.runtime.mesh.values import Values
from aegis_fhe.runtime.mesh.weights import KeptWeights
from aegis_fhe.runtime.out_of_memory import memory_for


@dataclass
class MeshExecution:
    """What a device made: its rows of the results that its group, or the team, computes; seconds by stage;
    of these what passed between nodes, waiting for values and links; what it held at its fullest moment.
    """

    results: dict[str, Ciphertext]
    seconds: Mapping[str, float]
    waiting: Mapping[str, float]
    held: DeviceMemory


@dataclass(frozen=True, kw_only=True)
class MeshProgram:
    """A schedule and what is known of its nodes and values. limbs: of one group."""

    schedule: Schedule
    limbs: LimbPlacement
    facts: GraphFacts
    results: tuple[str, ...]

    @property
    def symbols(self) -> Mapping[str, Symbol]:
        """Level, scale and components of every value."""
        return self.facts.symbols

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
    inputs: MutableMapping[str, Ciphertext],
    context: Context,
    *,
    team: LimbEvaluator | None = None,
    weights: KeptWeights | None = None,
    keys_bytes: int = 0,
    observer: StepObserver | None = None,
    checkpoints: Checkpoints | None = None,
) -> MeshExecution:
    """inputs: this device's rows of the input ciphertexts that its group, or the team, computes with. They
    are taken out of it: values, inputs too, are forgotten after their last use on this device.

    checkpoints: where all devices stop and each tells its state, and where the run begins: what it returns is
    of the whole run, what came before its beginning included.

    evaluator: of its group, a LimbEvaluator where limbs are shared; team: on `communicators.team`, for plans
    with nodes of all devices together. weights: of both. keys_bytes: of what they hold of keys. What is held
    is measured in the arena of the evaluator, which has to be this device's alone. observer: told of every
    step. Raises CompatibilityError for a plan with nodes of the team without a team, and for a state of
    another plan.
    """
    evaluators: dict[Form, Evaluator] = {"whole": evaluator}
    if team is not None:
        evaluators["shared"] = team
    run = _Run(program, evaluators, communicators, context)
    if observer is not None:
        run.observer = observer
    if weights is not None:
        run.weights = weights
    return run.run(inputs, keys_bytes, Checkpoints() if checkpoints is None else checkpoints)


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
        self.communicators = communicators
        self.values = Values(program.layout, program.symbols, evaluators, communicators)
        self.weights = KeptWeights(evaluators["whole"].params)
        self.observer: StepObserver = Unobserved()
        self.mine = self.plan.nodes_of(self.group)
        self.form_of = {v: self.plan.assignment.form(node) for node in self.mine for v in node.outputs}

    def run(
        self, inputs: MutableMapping[str, Ciphertext], keys_bytes: int, checkpoints: Checkpoints
    ) -> MeshExecution:
        missing = {self.plan.assignment.form(node) for node in self.mine} - set(self.evaluators)
        if missing:
            raise CompatibilityError(
                "this plan has nodes whose limbs all devices share: give the evaluator of the team"
            )
        plan, cuts, first = checkpoints.divided(self.plan)
        before = self._begin(plan, first, checkpoints.begin, inputs)
        held = HeldMemory.of(
            self.evaluators["whole"].params,
            self.values.every(),
            keys_bytes,
            self.weights.nbytes,
        )
        held.activations, held.workspace = before.activations, before.workspace
        seconds, waiting = defaultdict(float, before.seconds), defaultdict(float, before.waiting)
        start = time.monotonic()
        held.begin()
        self.observer.begin()
        for step in Flights(self.values, plan, cuts, first).steps():
            began = time.monotonic()
            waiting[step.stage] += began - start
            if isinstance(step, Ready):
                self._compute(step.node)
                held.end(step)
            elif isinstance(step, Cut):
                checkpoints.save(self._state(plan, step, seconds, waiting, held))
            now = time.monotonic()
            seconds[step.stage] += now - start
            self.observer.after(step, start, began, now)
            if isinstance(step, Ready):
                held.begin()
            start = now
            del step  # and what it keeps alive, before something arrives
        results = {
            name: self.values.here[self.form_of[name]][name]
            for name in self.program.results
            if name in self.form_of
        }
        return MeshExecution(results=results, seconds=seconds, waiting=waiting, held=held.fullest)

    def _begin(
        self,
        plan: Schedule,
        first: int,
        state: DeviceState | None,
        inputs: MutableMapping[str, Ciphertext],
    ) -> Measured:
        """Values with which round `first` begins, inputs of later nodes; what was measured before it."""
        self.values.left = plan.uses(self.group, self.program.results, first)
        if state is not None:
            restore(self.values, plan, first, state)
            self.communicators.exchanged(state.measured.entries)
        for name in [name for name in inputs if name in self.form_of]:
            value = inputs.pop(name)
            if plan.made_at[name] >= plan.begins(first):
                self.values.here[self.form_of[name]][name] = value
        return Measured() if state is None else state.measured

    def _state(
        self,
        plan: Schedule,
        cut: Cut,
        seconds: Mapping[str, float],
        waiting: Mapping[str, float],
        held: HeldMemory,
    ) -> DeviceState:
        """At a cut."""
        position = plan.begins(cut.rounds)
        measured = Measured(
            entries=self.communicators.entries(),
            seconds=dict(seconds),
            waiting=dict(waiting),
            activations=held.activations,
            workspace=held.workspace,
        )
        values = values_at(self.values, plan.made_at, position)
        return DeviceState(position=position, values=values, measured=measured)

    def _compute(self, node: Node) -> None:
        form = self.plan.assignment.form(node)
        evaluator, here = self.evaluators[form], self.values.here[form]
        if isinstance(evaluator, LimbEvaluator):
            evaluator.exchange.node = node.stage
        self.weights.begin(node)
        with memory_for(node.stage):
            run_node(node, evaluator, here, self.context)
            finish(self.communicators.tokens.device)
        release(node, self.values.left[form], here)
