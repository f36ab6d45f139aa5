"""Memory of one device, before anything is allocated: by a run that takes memory and computes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.dry_run import dry_evaluator, dry_input
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.ckks.key_shape import half_bytes, parameters_of
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost.chain import RESIDUE_BYTES
from aegis_fhe.placement.plan import Plan
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.interpret import release, run_node, uses

# A Python process with torch, numpy and the kernels loaded, and its small objects (measured).
PROCESS_BYTES = 340 << 20
TABLE_WORDS = 4  # of each modulus and coefficient: twiddle factors with their companions, both directions


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Bytes on one device at its fullest moment.

    stored_keys: the half of each key that comes from the file. arena: the most that residue tensors take at
    once (expanded key halves, values, workspace), with what the arena caches. tables: of the ring. inputs: as
    read from the file.
    """

    stored_keys_bytes: int
    weights_bytes: int
    inputs_bytes: int
    tables_bytes: int
    arena_bytes: int

    @property
    def device_bytes(self) -> int:
        """Of these on a GPU, where it computes: what comes from files is copied there as it is used."""
        return self.tables_bytes + self.arena_bytes

    @property
    def total_bytes(self) -> int:
        """Everything, the process itself included."""
        parts = self.stored_keys_bytes + self.weights_bytes + self.inputs_bytes
        return PROCESS_BYTES + parts + self.tables_bytes + self.arena_bytes


def ciphertext_bytes(params: Parameters, level: int, components: int = 2) -> int:
    """components * (level + 1) limbs of N residues."""
    return components * (level + 1) * params.degree * RESIDUE_BYTES


def estimate_memory(program: CompiledProgram, plan: Plan, rank: int) -> MemoryEstimate:
    """Bytes on the device `rank` of the plan at its fullest moment. Cost: under a second.

    Values live from their producer (or their arrival) to their last use, inputs to the end.
    """
    params, requests = program.params, program.key_requests()
    body = ciphertext_bytes(params, program.input_level, 1)
    return MemoryEstimate(
        stored_keys_bytes=sum(
            half_bytes(parameters_of(params, request), request.level) for request in requests
        ),
        weights_bytes=sum(constant.nbytes for constant in program.constants.values()),
        inputs_bytes=program.blocks * body,
        tables_bytes=len(params.q + params.p) * params.degree * TABLE_WORDS * RESIDUE_BYTES,
        arena_bytes=_arena_bytes(program, plan, rank, dry_evaluator(params, requests)),
    )


def _arena_bytes(program: CompiledProgram, plan: Plan, rank: int, evaluator: Evaluator) -> int:
    """The share of `rank`, dry; the most that its arena held."""
    params, context = evaluator.params, program.context(program.max_tokens)
    inputs = {
        name: dry_input(params, program.input_level, params.scale)
        for block, name in enumerate(program.input_names())
        if plan.owner[block] == rank
    }
    values = dict(inputs)
    left = uses(plan.nodes_of(rank), program.graph.results)
    for stage in plan.stages:
        for t in stage.transfers:
            if t.destination == rank:
                values[t.value] = Ciphertext(parts=params.ring.arena.empty(t.shape), scale=t.scale)
        for node in stage.nodes:
            if plan.owner[node.block] == rank:
                run_node(node, evaluator, values, context)
                release(node, left, values)
    return params.ring.arena.bytes().peak_held
