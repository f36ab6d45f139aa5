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
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form
from aegis_fhe.placement.schedule import TEAM, Assignment, Place, schedule
from aegis_fhe.placement.traffic import Traffic, predict_traffic
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.long.shape import LayerShape
from aegis_fhe.program.operators import Refresh
from aegis_fhe.runtime.limbs import KeyRows, LimbEvaluator, digit_shards, shard_ciphertext, shard_keys
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
        others = nothing_seen(params, MeshLimbs(assignment.mesh, limbs).team)
        shared = dict.fromkeys((n.name for n in graph.nodes if assignment.form(n) == "shared"), others)
        facts = graph_facts(graph, context, e.symbols, nothing_seen(params, limbs), shared)
        program = MeshProgram(schedule=plan, limbs=limbs, symbols=facts.symbols, results=graph.results)
        return cls(e, program, predict_traffic(plan, limbs, facts, params.degree))

    @property
    def mesh(self) -> Mesh:
        return self.program.schedule.mesh

    @property
    def forms(self) -> dict[str, Form]:
        """In which form each value is made."""
        plan = self.program.schedule
        return {v: plan.assignment.form(n) for one in plan.rounds for n in one.nodes for v in n.outputs}

    def share(self, communicators: MeshCommunicators) -> MeshExecution:
        """What one device makes of the layer."""
        e, limbs, forms = self.encrypted, self.program.limbs, self.forms
        params, rank = e.program.params, communicators.rank
        evaluator = Evaluator(params, e.keys)
        if self.mesh.limbs > 1:
            aggregates = limbs.aggregation != "none"
            evaluator = LimbEvaluator(
                params,
                shard_keys(params, e.keys, limbs, communicators.device),
                limbs,
                communicators.limbs,
                digit_keys=digit_shards(e.keys, limbs, communicators.device) if aggregates else None,
            )
        team = self._team(communicators, evaluator) if "shared" in forms.values() else None
        inputs = {name: self.rows(x, forms[name], rank) for name, x in e.inputs.items()}
        context = e.program.context(TOKENS)
        return execute_schedule(self.program, evaluator, communicators, inputs, context, team=team)

    def _team(self, communicators: MeshCommunicators, evaluator: Evaluator) -> LimbEvaluator:
        """Keys are held once where the device has them whole."""
        keys, placement, rank = self.encrypted.keys, self.program.layout.team, communicators.rank
        params = self.encrypted.program.params
        if self.mesh.limbs == 1:
            rows = KeyRows(evaluator.expanded, placement, rank)
            return LimbEvaluator(params, keys, placement, communicators.team, expanded=rows)
        return LimbEvaluator(params, shard_keys(params, keys, placement, rank), placement, communicators.team)

    def expected(self, name: str, rank: int) -> Ciphertext:
        """One device's rows of a result of one device alone."""
        return self.rows(self.encrypted.results[name], self.forms[name], rank)

    def rows(self, whole: Ciphertext, form: Form, rank: int) -> Ciphertext:
        """What one device has of a value."""
        if form == "shared":
            return shard_ciphertext(whole, self.program.layout.team, rank)
        device = self.mesh.place(rank)[1]
        return shard_ciphertext(whole, self.program.limbs, device) if self.mesh.limbs > 1 else whole


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
