"""A divided encrypted layer with a random place for every node, and one device's share of it."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cache

from aegis_fhe.ckks import Ciphertext, Evaluator
from aegis_fhe.placement.facts import graph_facts, nothing_seen
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.schedule import Assignment, schedule
from aegis_fhe.placement.traffic import Traffic, predict_traffic
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.long.shape import LayerShape
from aegis_fhe.runtime.limbs import LimbEvaluator, digit_shards, shard_ciphertext, shard_keys
from aegis_fhe.runtime.mesh import MeshCommunicators, MeshExecution, MeshProgram, execute_schedule
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
        params, graph, context = e.program.params, e.program.graph, e.program.context(TOKENS)
        plan = schedule(graph, assignment)
        facts = graph_facts(graph, context, e.symbols, nothing_seen(params, limbs))
        program = MeshProgram(schedule=plan, limbs=limbs, symbols=facts.symbols, results=graph.results)
        return cls(e, program, predict_traffic(plan, limbs, facts, params.degree))

    @property
    def mesh(self) -> Mesh:
        return self.program.schedule.mesh

    def share(self, communicators: MeshCommunicators) -> MeshExecution:
        """What one device makes of the layer."""
        e, limbs, device = self.encrypted, self.program.limbs, communicators.device
        params = e.program.params
        evaluator = Evaluator(params, e.keys)
        inputs: dict[str, Ciphertext] = dict(e.inputs)
        if self.mesh.limbs > 1:
            aggregates = limbs.aggregation != "none"
            evaluator = LimbEvaluator(
                params,
                shard_keys(params, e.keys, limbs, device),
                limbs,
                communicators.limbs,
                digit_keys=digit_shards(e.keys, limbs, device) if aggregates else None,
            )
            inputs = {name: shard_ciphertext(x, limbs, device) for name, x in e.inputs.items()}
        return execute_schedule(self.program, evaluator, communicators, inputs, e.program.context(TOKENS))

    def expected(self, name: str, device: int) -> Ciphertext:
        """One device's rows of a result of one device alone."""
        whole = self.encrypted.results[name]
        return shard_ciphertext(whole, self.program.limbs, device) if self.mesh.limbs > 1 else whole


@cache
def random_case(mesh: Mesh, seed: int) -> Case:
    e = encrypted(Division(parts=3, rows=ROWS), SHAPE)
    params, graph = e.program.params, e.program.graph
    rng = random.Random(seed)
    counts = [1, 1, 1, mesh.tokens]
    where = {
        node.name: tuple(sorted(rng.sample(range(mesh.tokens), rng.choice(counts)))) for node in graph.nodes
    }
    limbs = LimbPlacement(world_size=mesh.limbs, limbs=len(params.q), specials=len(params.p), placed="split")
    return Case.of(e, Assignment(mesh=mesh, where=where), limbs)


def digest(x: Ciphertext) -> str:
    return hashlib.sha256(x.parts.contiguous().numpy().tobytes()).hexdigest()
