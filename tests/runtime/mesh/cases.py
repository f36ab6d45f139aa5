"""A divided encrypted layer with a random place for every node, and one device's share of it."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cache

from aegis_fhe.ckks import Ciphertext
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.prediction import predict
from aegis_fhe.placement.schedule import TEAM, Assignment, Place
from aegis_fhe.placement.traffic import Traffic
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.long.shape import LayerShape
from aegis_fhe.program.operators import Refresh
from aegis_fhe.runtime.mesh import (
    MeshCommunicators,
    MeshDevice,
    MeshExecution,
    MeshProgram,
    rows_of,
)
from runtime.encrypted_layer import TOKENS, Encrypted, encrypted

SHAPE = LayerShape.encoder(features=40, heads=2, hidden=72)
ROWS = frozenset({"output", "contract"})


@dataclass(frozen=True)
class Case:
    encrypted: Encrypted
    program: MeshProgram
    traffic: Traffic

    @classmethod
    def of(cls, e: Encrypted, assignment: Assignment, limbs: LimbPlacement) -> Case:
        """An encrypted layer whose nodes have their places."""
        program = e.program
        context, symbols = program.context(TOKENS), e.symbols
        found = predict(program.graph, context, symbols, program.params, assignment, limbs)
        mesh = MeshProgram(
            schedule=found.plan, limbs=limbs, symbols=found.facts.symbols, results=program.graph.results
        )
        return cls(e, mesh, found.traffic)

    @property
    def mesh(self) -> Mesh:
        return self.program.schedule.mesh

    def share(self, communicators: MeshCommunicators) -> MeshExecution:
        """What one device makes of the layer."""
        e = self.encrypted
        device = MeshDevice(self.program, e.program.params, e.keys, communicators)
        return device.run(e.inputs, e.program.context(TOKENS))

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


def digest(x: Ciphertext) -> str:
    return hashlib.sha256(x.parts.contiguous().numpy().tobytes()).hexdigest()
