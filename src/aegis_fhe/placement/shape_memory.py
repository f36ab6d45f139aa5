"""Memory of one device of a schedule, from shapes: keys, weights, values, and what operators hold inside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.key_shape import half_bytes, parameters_of
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost import RESIDUE_BYTES
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.counts import total_of
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.operators import Input

# A value in one of its forms.
_Held: TypeAlias = tuple[str, Form]


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """Bytes on one device. keys: both halves of each, for the limbs it computes with. weights: encoded, each
    different plaintext once. activations: values alive at the fullest moment. workspace: what the operator of
    that moment takes besides, its results, babies and partial sums included (`node_memory`). What an exchange
    of rows within a group has in flight is not counted.
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
    plan: Schedule,
    facts: GraphFacts,
    params: Parameters,
    limbs: LimbPlacement,
    group: int,
    results: Sequence[str] = (),
) -> DeviceMemory:
    """Of the first device of a group, which has most limbs. limbs: of one group. results: stay to the end."""
    nodes, layout = plan.nodes_of(group), MeshLimbs(plan.mesh, limbs)
    alive, inside = _fullest(plan, facts, params, layout, group, results)
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
        limbs = layout.limbs
        if limbs.aggregation != "none" and limbs.world_size > 1 and not isinstance(request.step, str):
            digits = len(params.digits(request.level))
            total += whole * len(limbs.own_digits(digits, 0)) // digits  # its digits, in all limbs
    return total


def _weight_bytes(nodes: Iterable[Node], params: Parameters) -> int:
    """2S coefficients of each different plaintext of products; they are transformed where they are used."""
    matrices = {node.operator for node in nodes if isinstance(node.operator, MatrixProduct)}
    return sum(m.plaintexts() * 2 * m.source.sub_slots * RESIDUE_BYTES for m in matrices)


def _fullest(
    plan: Schedule,
    facts: GraphFacts,
    params: Parameters,
    layout: MeshLimbs,
    group: int,
    results: Sequence[str],
) -> tuple[int, int]:
    """(bytes alive, bytes inside the operator) at the moment when both together are most."""
    rank, form_of = plan.mesh.rank(group, 0), plan.assignment.form

    def size(value: str, form: Form) -> int:
        return _ciphertext_bytes(facts.symbols[value], params, layout, form, rank)

    left, held = plan.uses(group, results), dict[_Held, int]()
    for node in plan.nodes_of(group):
        if isinstance(node.operator, Input):
            held.update({(value, form_of(node)): size(value, form_of(node)) for value in node.outputs})
    most = (0, 0)
    for one in plan.rounds:
        for exchange in one.exchanges:
            for move in exchange.moves:
                if move.destination == group:
                    held[move.value, move.makes] = size(move.value, move.makes)
            most = max(most, (sum(held.values()), 0), key=sum)
            for move in exchange.moves:
                if move.source == group:
                    _use(move.value, move.needs, left, held)
        for node in one.nodes:
            if group not in plan.assignment.groups(node):
                continue
            form = form_of(node)
            inside = facts.nodes[node.name].rows * params.degree * RESIDUE_BYTES
            most = max(most, (sum(held.values()), inside), key=sum)
            held.update({(value, form): size(value, form) for value in node.outputs})
            for value in node.inputs:
                _use(value, form, left, held)
    return most


def _use(value: str, form: Form, left: dict[Form, Counter[str]], held: dict[_Held, int]) -> None:
    left[form][value] -= 1
    if left[form][value] <= 0:
        held.pop((value, form), None)


def _ciphertext_bytes(symbol: Symbol, params: Parameters, layout: MeshLimbs, form: Form, rank: int) -> int:
    return symbol.components * len(layout.held(form, symbol.level, rank)) * params.degree * RESIDUE_BYTES
