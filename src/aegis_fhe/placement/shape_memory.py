"""Memory of one device of a schedule, from shapes: keys, weights, values, and what operators hold inside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

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

    known: dict[tuple[int, int, Form], int] = {}

    def size(value: str, form: Form) -> int:
        symbol = facts.symbols[value]
        key = symbol.level, symbol.components, form
        if key not in known:
            known[key] = _ciphertext_bytes(symbol, params, layout, form, rank)
        return known[key]

    alive = _Alive(plan.uses(group, results), size)
    for node in plan.nodes_of(group):
        if isinstance(node.operator, Input):
            alive.add(node.outputs, form_of(node))
    most = (0, 0)
    moves = zip(plan.arriving(group), plan.leaving(group), strict=True)
    for one, nodes in zip(plan.rounds, plan.rounds_of(group), strict=True):
        for arriving, leaving in islice(moves, len(one.exchanges)):
            for move in arriving:
                alive.add((move.value,), move.makes)
            most = max(most, (alive.bytes, 0), key=sum)
            for move in leaving:
                alive.use((move.value,), move.needs)
        for node in nodes:
            form = form_of(node)
            inside = facts.nodes[node.name].rows * params.degree * RESIDUE_BYTES
            most = max(most, (alive.bytes, inside), key=sum)
            alive.add(node.outputs, form)
            alive.use(node.inputs, form)
    return most


@dataclass
class _Alive:
    """Values in their forms on a device, until nothing there needs them. left: how often each is needed."""

    left: dict[Form, Counter[str]]
    size: Callable[[str, Form], int]
    bytes: int = 0

    def __post_init__(self) -> None:
        self.held: dict[Form, dict[str, int]] = {"whole": {}, "shared": {}}

    def add(self, values: Iterable[str], form: Form) -> None:
        """Those that are there already stay."""
        held = self.held[form]
        for value in values:
            if value not in held:
                held[value] = self.size(value, form)
                self.bytes += held[value]

    def use(self, values: Iterable[str], form: Form) -> None:
        """Once each."""
        left, held = self.left[form], self.held[form]
        for value in values:
            left[value] -= 1
            if left[value] <= 0:
                self.bytes -= held.pop(value, 0)


def _ciphertext_bytes(symbol: Symbol, params: Parameters, layout: MeshLimbs, form: Form, rank: int) -> int:
    return symbol.components * len(layout.held(form, symbol.level, rank)) * params.degree * RESIDUE_BYTES
