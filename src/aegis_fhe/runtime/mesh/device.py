"""What one device of a mesh computes with, out of whole keys and ciphertexts: its evaluators, its rows."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cached_property

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.ckks.expanded_keys import ExpandedKeys
from aegis_fhe.ckks.keys import EvaluationKeys, KeySwitchKey
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.device_keys import DeviceKeys, device_keys
from aegis_fhe.placement.moves import Form
from aegis_fhe.program.graph import Node
from aegis_fhe.program.operators import Context
from aegis_fhe.ring.arena import Arena
from aegis_fhe.runtime.limbs import KeyRows, LimbEvaluator, held_keys, shard_ciphertext
from aegis_fhe.runtime.mesh.checkpoints import Checkpoints
from aegis_fhe.runtime.mesh.connect import MeshCommunicators
from aegis_fhe.runtime.mesh.execute import MeshExecution, MeshProgram, execute_schedule
from aegis_fhe.runtime.mesh.observer import StepObserver
from aegis_fhe.runtime.mesh.weights import KeptWeights


@dataclass(frozen=True)
class MeshDevice:
    """keys: whole ones, of which a device keeps those rows that it computes with (`placement.device_keys`).

    params: with an arena of this device alone, in which lies all that it receives too.
    """

    program: MeshProgram
    params: Parameters
    keys: EvaluationKeys
    communicators: MeshCommunicators

    def run(
        self,
        inputs: MutableMapping[str, Ciphertext],
        context: Context,
        observer: StepObserver | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> MeshExecution:
        """This device's share; inputs: whole ciphertexts, taken out of it, of which it keeps its own.

        observer: told of every step; checkpoints: as of `execute_schedule`.
        """
        self.prepare(context)
        rank, forms, own = self.communicators.rank, self.program.forms, dict[str, Ciphertext]()
        for name in list(inputs):
            own[name] = rows_of(self.program, inputs.pop(name), forms[name], rank, self.params.ring.arena)
        return execute_schedule(
            self.program,
            self.evaluator,
            self.communicators,
            own,
            context,
            team=self.team,
            weights=self.weights,
            keys_bytes=self.keys_bytes,
            observer=observer,
            checkpoints=checkpoints,
        )

    def reads(self, name: str) -> bool:
        """Whether its group, or the team, computes with an input."""
        return any(name in node.outputs for node in self._nodes)

    def prepare(self, context: Context) -> None:
        """Draws the uniform halves of all keys and encodes all weights, once: later it is time of a stage."""
        self.communicators.receive_into(self.params.ring.arena)
        _ = self.keys_bytes
        self.weights.encode(self._nodes, self.program.symbols, context)

    @cached_property
    def held(self) -> DeviceKeys:
        """Of which keys it has which rows."""
        program = self.program
        return device_keys(
            program.schedule, program.facts, self.params, program.layout, self.communicators.rank
        )

    @cached_property
    def keys_bytes(self) -> int:
        """Both halves of all keys, which are drawn where they were not yet."""
        halves = [self.evaluator.expanded.halves(key) for key in _every(self.evaluator)]
        if self.team is not None:
            own = (key for key in _every(self.team) if key.request.step not in self.held.viewed)
            halves += [self.team.expanded.halves(key) for key in own]
        return sum(one.a.nbytes + one.b.nbytes for one in halves)

    @cached_property
    def weights(self) -> KeptWeights:
        """Of its products, in both forms."""
        return KeptWeights(self.params)

    @cached_property
    def evaluator(self) -> Evaluator:
        """Of its group."""
        limbs, keys = self.program.limbs, held_keys(self.params, self.keys, self.held.whole)
        if limbs.world_size == 1:
            evaluator = Evaluator(self.params, keys, expanded_bytes=sys.maxsize)
        else:
            evaluator = LimbEvaluator(
                self.params,
                keys,
                limbs,
                self.communicators.limbs,
                digit_keys=held_keys(self.params, self.keys, self.held.digits).rotations,
                expanded=ExpandedKeys(sys.maxsize),
            )
        evaluator.plaintexts = self.weights
        return evaluator

    @cached_property
    def team(self) -> LimbEvaluator | None:
        """Of all devices, where they compute a node together; keys of both are held once."""
        if "shared" not in self.program.forms.values():
            return None
        placement, rank = self.program.layout.team, self.communicators.rank
        viewed = [key for key in _every(self.evaluator) if key.request.step in self.held.viewed]
        evaluator = LimbEvaluator(
            self.params,
            held_keys(self.params, self.keys, self.held.shared, viewed),
            placement,
            self.communicators.team,
            expanded=KeyRows(self.evaluator.expanded, placement, rank, self.held.viewed),
        )
        evaluator.plaintexts = self.weights
        return evaluator

    @cached_property
    def _nodes(self) -> list[Node]:
        return self.program.schedule.nodes_of(self.communicators.group)


def _every(evaluator: Evaluator) -> list[KeySwitchKey]:
    keys = evaluator.keys
    digits = evaluator.digit_keys.values() if isinstance(evaluator, LimbEvaluator) else ()
    found = [*keys.rotations.values(), *digits]
    found += [] if keys.relin is None else [keys.relin]
    sparse = keys.encapsulation
    return found + ([] if sparse is None else [sparse.to_sparse, sparse.from_sparse])


def rows_of(
    program: MeshProgram, whole: Ciphertext, form: Form, rank: int, arena: Arena | None = None
) -> Ciphertext:
    """What one device has of a ciphertext that lies in this form; where that is not all of it, a copy."""
    if form == "shared":
        return shard_ciphertext(whole, program.layout.team, rank, arena)
    if program.limbs.world_size == 1:
        return whole
    return shard_ciphertext(whole, program.limbs, program.schedule.mesh.place(rank)[1], arena)
