"""A divided encrypted layer with a random place for every node, and one device's share of it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import pytest

from aegis_fhe.ckks import Ciphertext, Parameters
from aegis_fhe.observe.trace import TraceLog
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.prediction import device_memories, predict
from aegis_fhe.placement.schedule import TEAM, Assignment, Place
from aegis_fhe.placement.shape_memory import DeviceMemory
from aegis_fhe.placement.traffic import Traffic
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.long.shape import LayerShape
from aegis_fhe.program.operators import Refresh
from aegis_fhe.runtime.mesh import (
    Checkpoints,
    MeshCommunicators,
    MeshDevice,
    MeshExecution,
    MeshProgram,
    rows_of,
)
from aegis_fhe.runtime.mesh.observer import Observers, StepObserver
from aegis_fhe.runtime.mesh.traced import TracedSteps
from runtime.encrypted_layer import TOKENS, Encrypted, encrypted

SHAPE = LayerShape.encoder(features=40, heads=2, hidden=72)
ROWS = frozenset({"output", "contract"})


@dataclass(frozen=True)
class Case:
    encrypted: Encrypted
    program: MeshProgram
    traffic: Traffic
    memory: DeviceMemory

    @classmethod
    def of(cls, e: Encrypted, assignment: Assignment, limbs: LimbPlacement) -> Case:
        """An encrypted layer whose nodes have their places."""
        program = e.program
        context, symbols = program.context(TOKENS), e.symbols
        found = predict(program.graph, context, symbols, program.params, assignment, limbs)
        mesh = MeshProgram(schedule=found.plan, limbs=limbs, facts=found.facts, results=program.graph.results)
        return cls(e, mesh, found.traffic, found.memory)

    @property
    def mesh(self) -> Mesh:
        return self.program.schedule.mesh

    def share(
        self,
        communicators: MeshCommunicators,
        checkpoints: Checkpoints | None = None,
        params: Parameters | None = None,
        *,
        log: TraceLog | None = None,
        observer: StepObserver | None = None,
    ) -> MeshExecution:
        """What one device makes of the layer, with a ring, and so an arena, of its own."""
        e = self.encrypted
        if params is None:
            params = Parameters.from_dict(e.program.params.to_dict())
        device = MeshDevice(self.program, params, e.keys, communicators)
        inputs = {
            name: replace(x, parts=params.ring.arena.copy(x.parts))
            for name, x in e.inputs.items()
            if device.reads(name)
        }
        observers = [] if observer is None else [observer]
        if log is not None:
            observers.append(TracedSteps(log, self.program, communicators, params.ring.arena))
        observer = Observers(observers) if observers else None
        return device.run(inputs, e.program.context(TOKENS), observer, checkpoints)

    @cached_property
    def memories(self) -> list[DeviceMemory]:
        """Of every rank, predicted."""
        e, plan = self.encrypted, self.program.schedule
        context = e.program.context(TOKENS)
        return device_memories(
            e.program.graph, context, e.symbols, e.program.params, plan, self.program.limbs
        )

    def check_memory(self, executions: Sequence[MeshExecution]) -> None:
        """What every device held at its fullest moment: keys and weights as predicted; values, workspace and
        all together within 5 %, a small group within 0.5 % of all; the fullest device's as the plan says.

        Where all together are within 1 % another moment may be the fullest: a block is up to 1/16 too large.
        """
        held = [execution.held for execution in executions]
        for rank, (own, predicted) in enumerate(zip(held, self.memories, strict=True)):
            assert (own.keys, own.weights) == (predicted.keys, predicted.weights), rank
            if own.total != pytest.approx(predicted.total, rel=0.01):
                kinds = pytest.approx(predicted.by_kind(), rel=0.05, abs=0.005 * own.total)
                assert own.by_kind() == kinds, rank
        assert max(own.total for own in held) == pytest.approx(self.memory.total, rel=0.05)

    def expected(self, name: str, rank: int) -> Ciphertext:
        """One device's rows of a result of one device alone."""
        return rows_of(self.program, self.encrypted.results[name], self.program.forms[name], rank)


@cache
def random_case(mesh: Mesh, seed: int, teams: int = 0) -> Case:
    """teams: in percent, how many nodes, a bootstrap among them, all devices compute together."""
    e = encrypted(Division(parts=3, rows=ROWS), SHAPE)
    params, graph = e.program.params, e.program.graph
    rng = random.Random(seed)
    counts = [1, 1, 1, mesh.tokens]
    where: dict[str, Place] = {
        node.name: tuple(sorted(rng.sample(range(mesh.tokens), rng.choice(counts)))) for node in graph.nodes
    }
    if teams:
        where.update({node.name: TEAM for node in graph.nodes if rng.randrange(100) < teams})
        where[next(node.name for node in graph.nodes if isinstance(node.operator, Refresh))] = TEAM
    limbs = LimbPlacement(world_size=mesh.limbs, limbs=len(params.q), specials=len(params.p), placed="split")
    return Case.of(e, Assignment(mesh=mesh, where=where), limbs)


def exchanged(communicators: MeshCommunicators) -> list[list[str | int]]:
    """Every message of every axis in order: axis, stage, kind, bytes received, bytes sent."""
    ledgers = (one.ledger for one in (communicators.tokens, communicators.limbs, communicators.team))
    return [
        [entry.axis, entry.node, entry.operation, entry.bytes_received, entry.bytes_sent]
        for ledger in ledgers
        for entry in ledger.entries
        if not entry.control
    ]


def digest(x: Ciphertext) -> str:
    return hashlib.sha256(x.parts.contiguous().numpy().tobytes()).hexdigest()
