"""Memory of one device, before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_fhe.ckks.keys import half_bytes
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.plan import RESIDUE_BYTES, Plan
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import uses
from aegis_fhe.program.operators import Attend, Input, Project, Scores

# A Python process with torch, numpy and the kernels loaded (450 MiB), and what the allocator keeps beyond
# live values: huge pages and fragments (measured: up to 460 MiB).
PROCESS_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Bytes on one device at its fullest moment."""

    keys_bytes: int
    weights_bytes: int
    values_bytes: int
    workspace_bytes: int

    @property
    def total_bytes(self) -> int:
        """Everything, the process itself included."""
        return PROCESS_BYTES + self.keys_bytes + self.weights_bytes + self.values_bytes + self.workspace_bytes


def ciphertext_bytes(params: Parameters, level: int, components: int = 2) -> int:
    """components * (level + 1) limbs of N residues."""
    return components * (level + 1) * params.degree * RESIDUE_BYTES


def estimate_memory(program: CompiledProgram, plan: Plan, rank: int) -> MemoryEstimate:
    """Bytes on the device `rank` of the plan at its fullest moment.

    Keys are all resident; values live from their producer to their last use; workspace as the operators
    state.
    """
    params, symbols = program.params, program.symbols()
    nodes = plan.nodes_of(rank)
    left = uses(nodes, program.graph.results)
    live: dict[str, int] = {}
    fullest, workspace = 0, 0
    for node in nodes:
        for value in (*node.inputs, *node.outputs):
            symbol = symbols[value]
            live[value] = ciphertext_bytes(params, symbol.level, symbol.components)
        needed = _workspace_ciphertexts(program, node)
        level = max(symbols[value].level for value in (*node.inputs, *node.outputs))
        size = needed * ciphertext_bytes(params, level)
        if sum(live.values()) + size > fullest + workspace:
            fullest, workspace = sum(live.values()), size
        for value in node.inputs:
            left[value] -= 1
            if left[value] == 0:
                live.pop(value, None)
    return MemoryEstimate(
        keys_bytes=sum(2 * half_bytes(params, request.level) for request in program.key_requests()),
        weights_bytes=sum(constant.nbytes for constant in program.constants.values()),
        values_bytes=fullest,
        workspace_bytes=workspace,
    )


def _workspace_ciphertexts(program: CompiledProgram, node: Node) -> int:
    """Ciphertexts, at the node's highest level, that the operator holds besides its inputs and outputs."""
    layout, base = program.layout, program.layout.ladder_base
    column_steps = 2 * layout.head_dim // base
    match node.operator:
        case Input():
            return 0
        case Project():
            giants = 2 * layout.width // layout.giant + 1
            return layout.giant + layout.giant // layout.heads + 2 * giants
        case Scores():
            return 2 * column_steps + layout.tokens // base + 2 * base + 3 * 8
        case Attend():
            return layout.tokens + layout.tokens // base + column_steps + base + 3 * 8
        case _:
            return 24
