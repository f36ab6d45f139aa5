"""Memory of a device at its fullest moment, against what the arena of a real run held.

Measured: blocks of residue tensors and kernel scratch, of any size, from the first input to the last result;
received ciphertexts included, keys expanded before. Rows in flight within a group are not in the arena.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aegis_fhe.ckks import EvaluationKeys, Evaluator, Parameters
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.placement.facts import graph_facts, nothing_seen
from aegis_fhe.placement.shape_memory import DeviceMemory, device_memory
from aegis_fhe.placement.strategies import Rendering
from aegis_fhe.ring import arena
from aegis_fhe.runtime.limbs import LimbEvaluator, digit_shards, shard_ciphertext, shard_keys
from aegis_fhe.runtime.mesh import MeshCommunicators, execute_schedule
from runtime.encrypted_layer import TOKENS

from ..together import mesh_together
from .rendered import case_of, renderings

CHOSEN = [one for world in (1, 2) for one in renderings(world)]
CHOSEN += [one for one in renderings(4) if one.variant.endswith(("hidden", "rounded", "terms"))]


def name_of(rendering: Rendering) -> str:
    return f"{rendering.mesh.world_size} {rendering.strategy} {rendering.variant}"


class Measured:
    """A device with a ring, and so an arena, of its own."""

    def __init__(self, rendering: Rendering, communicators: MeshCommunicators) -> None:
        self.case, self.communicators = case_of(rendering), communicators
        program = self.case.encrypted.program
        self.params = Parameters.from_dict(program.params.to_dict())
        self.arena = self.params.ring.arena
        self.evaluator, self.key_bytes = self._evaluator()

    def _own(self, keys: Any) -> Any:
        return replace(keys, params=self.params)

    def _evaluator(self) -> tuple[Evaluator, int]:
        keys, limbs, device = self.case.encrypted.keys, self.case.program.limbs, self.communicators.device
        digits = {}
        if limbs.world_size > 1:
            if limbs.aggregation != "none":
                digits = {g: self._own(k) for g, k in digit_shards(keys, limbs, device).items()}
            keys = shard_keys(self.params, keys, limbs, device)
        rotations = {galois: self._own(key) for galois, key in keys.rotations.items()}
        own: EvaluationKeys = replace(keys, relin=self._own(keys.relin), rotations=rotations)
        evaluator = Evaluator(self.params, own)
        if limbs.world_size > 1:
            evaluator = LimbEvaluator(
                self.params, own, limbs, self.communicators.limbs, digit_keys=digits or None
            )
        every = [own.relin, *rotations.values(), *digits.values()]
        halves = [evaluator.expanded.halves(key) for key in every if key is not None]
        return evaluator, sum(one.a.nbytes + one.b.nbytes for one in halves)

    def peak(self) -> int:
        """Bytes beyond the keys."""
        case, limbs, device = self.case, self.case.program.limbs, self.communicators.device
        before = self.arena.bytes().in_use
        mine = {v for n in case.program.schedule.nodes_of(self.communicators.group) for v in n.outputs}
        inputs: dict[str, Ciphertext] = {}
        for name, x in case.encrypted.inputs.items():
            if name in mine:
                own = shard_ciphertext(x, limbs, device) if limbs.world_size > 1 else x
                inputs[name] = replace(own, parts=self.arena.copy(own.parts))
        self._receive_into_arena()
        self.arena.reset_peaks()
        context = case.encrypted.program.context(TOKENS)
        execute_schedule(case.program, self.evaluator, self.communicators, inputs, context)
        return self.arena.bytes().peak_in_use - before

    def _receive_into_arena(self) -> None:
        tokens, start = self.communicators.tokens, self.communicators.tokens.start_exchange

        def started(*arguments: Any, **named: Any) -> Any:
            delivered = start(*arguments, **named)
            blocks = delivered.wait()
            blocks.update({index: self.arena.copy(block) for index, block in blocks.items()})
            return delivered

        tokens.start_exchange = started  # type: ignore[method-assign]


def predicted(rendering: Rendering, group: int) -> DeviceMemory:
    case = case_of(rendering)
    e, limbs = case.encrypted, rendering.limbs
    params, graph = e.program.params, e.program.graph
    facts = graph_facts(graph, e.program.context(TOKENS), e.symbols, nothing_seen(params, limbs))
    return device_memory(case.program.schedule, facts, params, limbs, group, graph.results)


@pytest.mark.parametrize("rendering", CHOSEN, ids=name_of)
def test_values_and_workspace_are_predicted_within_five_percent(rendering: Rendering, monkeypatch):
    monkeypatch.setattr(arena, "POOLED_BYTES", 0)  # so that no tensor is too small to be counted
    case = case_of(rendering)

    def body(communicators: MeshCommunicators) -> tuple[int, int]:
        device = Measured(rendering, communicators)
        return device.peak(), device.key_bytes

    for rank, (peak, keys) in enumerate(mesh_together(case.mesh, body)):
        group, device = case.mesh.place(rank)
        if device == 0:
            found = predicted(rendering, group)
            assert found.activations + found.workspace == pytest.approx(peak, rel=0.05)
            if case.mesh.tokens == 1:  # every key is used; that to the sparse secret and back is 0.5 MiB each
                sparse = found.keys - keys
                assert 0 < sparse < 0.1 * keys
