"""What one device of a mesh computes with, out of whole keys and ciphertexts: its evaluators, its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.ckks.keys import EvaluationKeys
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.moves import Form
from aegis_fhe.program.operators import Context
from aegis_fhe.runtime.limbs import KeyRows, LimbEvaluator, digit_shards, shard_ciphertext, shard_keys
from aegis_fhe.runtime.mesh.connect import MeshCommunicators
from aegis_fhe.runtime.mesh.execute import MeshExecution, MeshProgram, execute_schedule


@dataclass(frozen=True)
class MeshDevice:
    """keys: whole ones; of what it never uses whole a device keeps its rows alone."""

    program: MeshProgram
    params: Parameters
    keys: EvaluationKeys
    communicators: MeshCommunicators

    def run(self, inputs: Mapping[str, Ciphertext], context: Context) -> MeshExecution:
        """This device's share; inputs: whole ciphertexts, of which it takes what is its own."""
        rank, forms = self.communicators.rank, self.program.forms
        own = {name: rows_of(self.program, x, forms[name], rank) for name, x in inputs.items()}
        return execute_schedule(
            self.program, self.evaluator, self.communicators, own, context, team=self.team
        )

    def reads(self, name: str) -> bool:
        """Whether its group, or the team, computes with an input."""
        plan, group = self.program.schedule, self.communicators.group
        return any(name in node.outputs for node in plan.nodes_of(group))

    def expand_keys(self) -> None:
        """Draws the uniform halves of all keys now, as many as are kept: later it is time of a stage."""
        own = [one for one in (self.evaluator, self.team) if one is not None]
        for one in own:
            if not isinstance(one.expanded, KeyRows):  # which has no halves of its own
                digits = one.digit_keys.values() if isinstance(one, LimbEvaluator) else ()
                relin = () if one.keys.relin is None else (one.keys.relin,)
                for key in (*relin, *one.keys.rotations.values(), *digits):
                    one.expanded.halves(key)

    @cached_property
    def evaluator(self) -> Evaluator:
        """Of its group."""
        limbs, device = self.program.limbs, self.communicators.device
        if limbs.world_size == 1:
            return Evaluator(self.params, self.keys)
        digits = digit_shards(self.keys, limbs, device) if limbs.aggregation != "none" else None
        keys = shard_keys(self.params, self.keys, limbs, device)
        return LimbEvaluator(self.params, keys, limbs, self.communicators.limbs, digit_keys=digits)

    @cached_property
    def team(self) -> LimbEvaluator | None:
        """Of all devices, where they compute a node together; keys that a device has whole are held once."""
        if "shared" not in self.program.forms.values():
            return None
        placement, rank, team = (
            self.program.layout.team,
            self.communicators.rank,
            self.communicators.team,
        )
        if self.program.limbs.world_size == 1:
            rows = KeyRows(self.evaluator.expanded, placement, rank)
            return LimbEvaluator(self.params, self.keys, placement, team, expanded=rows)
        return LimbEvaluator(
            self.params, shard_keys(self.params, self.keys, placement, rank), placement, team
        )


def rows_of(program: MeshProgram, whole: Ciphertext, form: Form, rank: int) -> Ciphertext:
    """What one device has of a ciphertext that lies in this form."""
    if form == "shared":
        return shard_ciphertext(whole, program.layout.team, rank)
    if program.limbs.world_size == 1:
        return whole
    return shard_ciphertext(whole, program.limbs, program.schedule.mesh.place(rank)[1])
