"""Memory of one device of a schedule, from shapes: keys, weights, values, and what operators hold inside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.keys import half_bytes, parameters_of
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost import RESIDUE_BYTES
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.counts import total_of
from aegis_fhe.program.long.matrix_product import MatrixProduct

# A value in one of its forms.
_Held: TypeAlias = tuple[str, Form]


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """Bytes on one device. keys: both halves of each, for the limbs it computes with. weights: encoded, each
    different plaintext once. activations: values alive at the fullest moment. workspace: what the operator of
    that moment holds besides, babies and partial sums included.
    """

    keys: int
    weights: int
    activations: int
    workspace: int

    @property
    def total(self) -> int:
        """Everything."""
        return self.keys + self.weights + self.activations + self.workspace


def device_memory(
    plan: Schedule, facts: GraphFacts, params: Parameters, limbs: LimbPlacement, group: int
) -> DeviceMemory:
    """Of the first device of a group, which has most limbs. limbs: of one group."""
    nodes, layout = plan.nodes_of(group), MeshLimbs(plan.mesh, limbs)
    alive, inside = _fullest(plan, facts, params, layout, group)
    return DeviceMemory(
        keys=_key_bytes(plan, facts, params, layout, group),
        weights=_weight_bytes(nodes, params),
        activations=alive,
        workspace=inside,
    )


def _key_bytes(plan: Schedule, facts: GraphFacts, params: Parameters, layout: MeshLimbs, group: int) -> int:
    """Each key in the limbs that this device uses as one of its group, and of the team; once where the team's
    are among the others (`runtime.limbs.KeyRows`).
    """
    counts: dict[Form, list[OperationCounts]] = {"whole": [], "shared": []}
    for node in plan.nodes_of(group):
        counts[plan.assignment.form(node)].append(facts.nodes[node.name].counts)
    using = {form: {r.step for r in total_of(found).key_requests()} for form, found in counts.items()}
    total, rank = 0, plan.mesh.rank(group, 0)
    for request in total_of(counts["whole"] + counts["shared"]).key_requests():
        own = parameters_of(params, request)
        whole, rows = 2 * half_bytes(own, request.level), request.level + 1 + len(own.p)
        held = [
            {*layout.held(form, request.level, rank), *layout.specials(form, rank)}
            for form, steps in using.items()
            if request.step in steps
        ]
        count = len(held[0]) if held[-1] <= held[0] else sum(map(len, held))
        total += whole if request.encapsulates else whole * min(count, rows) // rows
    return total


def _weight_bytes(nodes: Iterable[Node], params: Parameters) -> int:
    """2S coefficients of each different plaintext of products; they are transformed where they are used."""
    matrices = {node.operator for node in nodes if isinstance(node.operator, MatrixProduct)}
    return sum(m.plaintexts() * 2 * m.source.sub_slots * RESIDUE_BYTES for m in matrices)


def _fullest(
    plan: Schedule, facts: GraphFacts, params: Parameters, layout: MeshLimbs, group: int
) -> tuple[int, int]:
    """(bytes alive, bytes inside the operator) at the moment when both together are most."""
    rank, form_of = plan.mesh.rank(group, 0), plan.assignment.form

    def size(value: str, form: Form) -> int:
        return _ciphertext_bytes(facts.symbols[value], params, layout, form, rank)

    left: Counter[_Held] = Counter()
    for one in plan.rounds:
        left.update((m.value, m.needs) for e in one.exchanges for m in e.moves if m.source == group)
    for node in plan.nodes_of(group):
        left.update((value, form_of(node)) for value in node.inputs)
    held: dict[_Held, int] = {}
    most = (0, 0)
    for one in plan.rounds:
        for exchange in one.exchanges:
            for move in exchange.moves:
                if move.destination == group:
                    held[move.value, move.makes] = size(move.value, move.makes)
            most = max(most, (sum(held.values()), 0), key=sum)
            for move in exchange.moves:
                if move.source == group:
                    _use((move.value, move.needs), left, held)
        for node in one.nodes:
            if group not in plan.assignment.groups(node):
                continue
            form = form_of(node)
            held.update({(value, form): size(value, form) for value in node.outputs})
            inside = _inside(node, facts, params, layout, form, rank)
            most = max(most, (sum(held.values()), inside), key=sum)
            for value in node.inputs:
                _use((value, form), left, held)
    return most


def _use(value: _Held, left: Counter[_Held], held: dict[_Held, int]) -> None:
    left[value] -= 1
    if left[value] <= 0:
        held.pop(value, None)


def _ciphertext_bytes(symbol: Symbol, params: Parameters, layout: MeshLimbs, form: Form, rank: int) -> int:
    return symbol.components * len(layout.held(form, symbol.level, rank)) * params.degree * RESIDUE_BYTES


def _inside(
    node: Node, facts: GraphFacts, params: Parameters, layout: MeshLimbs, form: Form, rank: int
) -> int:
    """Babies, inner sums of one column, and one key switch: extended digits and two sums modulo QP."""
    symbols = [facts.symbols[value] for value in node.inputs]
    if not symbols:
        return 0
    level = max(symbol.level for symbol in symbols)
    rows = len(layout.held(form, level, rank)) + len(layout.specials(form, rank))
    switching = (len(params.digits(level)) + 2) * rows * params.degree * RESIDUE_BYTES
    one = _ciphertext_bytes(Symbol(level, 1.0), params, layout, form, rank)
    match node.operator:
        case MatrixProduct() as product:
            giants = 2 * product.source.sub_slots // product.baby
            babies = len(product.columns_in) * (product.baby - 1)
            return switching + (babies + giants) * one
        case StreamingAttention() as attention:
            scores, columns = attention.scores, attention.scores.columns
            babies = 0 if attention.turned else 2 * columns * (scores.baby - 1) * scores.layout.blocks
            turned = 2 * columns * len(attention.query_blocks)
            return switching + (babies + turned + scores.baby * scores.layout.blocks) * one
        case _:
            return switching + 8 * one
