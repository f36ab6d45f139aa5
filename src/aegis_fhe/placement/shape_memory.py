"""Memory of one device of a schedule, from shapes: keys, weights, values, and what operators hold inside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.keys import half_bytes, parameters_of
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost import RESIDUE_BYTES
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import uses
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.counts import total_of
from aegis_fhe.program.long.matrix_product import MatrixProduct


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
    """Of the first device of a group, which has most limbs."""
    nodes = plan.nodes_of(group)
    alive, inside = _fullest(plan, facts, params, limbs, group)
    return DeviceMemory(
        keys=_key_bytes((facts.nodes[node.name].counts for node in nodes), params, limbs),
        weights=_weight_bytes(nodes, params),
        activations=alive,
        workspace=inside,
    )


def _key_bytes(counts: Iterable[OperationCounts], params: Parameters, limbs: LimbPlacement) -> int:
    total = 0
    for request in total_of(counts).key_requests():
        own = parameters_of(params, request)
        whole, rows = 2 * half_bytes(own, request.level), request.level + 1 + len(own.p)
        held = len(limbs.q_limbs(request.level, 0)) + len(limbs.p_limbs(0))
        total += whole if request.encapsulates else whole * min(held, rows) // rows
    return total


def _weight_bytes(nodes: Iterable[Node], params: Parameters) -> int:
    """2S coefficients of each different plaintext of products; they are transformed where they are used."""
    matrices = {node.operator for node in nodes if isinstance(node.operator, MatrixProduct)}
    return sum(m.plaintexts() * 2 * m.source.sub_slots * RESIDUE_BYTES for m in matrices)


def _fullest(
    plan: Schedule, facts: GraphFacts, params: Parameters, limbs: LimbPlacement, group: int
) -> tuple[int, int]:
    """(bytes alive, bytes inside the operator) at the moment when both together are most."""

    def size(value: str) -> int:
        return _ciphertext_bytes(facts.symbols[value], params, limbs)

    nodes = plan.nodes_of(group)
    left = uses(nodes, ())
    for one in plan.rounds:
        for exchange in one.exchanges:
            left.update(move.value for move in exchange.moves if move.source == group)
    held: dict[str, int] = {}
    most = (0, 0)
    for one in plan.rounds:
        for exchange in one.exchanges:
            for move in exchange.moves:
                if move.destination == group:
                    held[move.value] = size(move.value)
            most = max(most, (sum(held.values()), 0), key=sum)
            for move in exchange.moves:
                if move.source == group:
                    _use(move.value, left, held)
        for node in one.nodes:
            if group not in plan.assignment.where[node.name]:
                continue
            held.update({value: size(value) for value in node.outputs})
            most = max(most, (sum(held.values()), _inside(node, facts, params, limbs)), key=sum)
            for value in node.inputs:
                _use(value, left, held)
    return most


def _use(value: str, left: dict[str, int], held: dict[str, int]) -> None:
    left[value] -= 1
    if left[value] <= 0:
        held.pop(value, None)


def _ciphertext_bytes(symbol: Symbol, params: Parameters, limbs: LimbPlacement) -> int:
    return symbol.components * len(limbs.q_limbs(symbol.level, 0)) * params.degree * RESIDUE_BYTES


def _inside(node: Node, facts: GraphFacts, params: Parameters, limbs: LimbPlacement) -> int:
    """Babies, inner sums of one column, and one key switch: extended digits and two sums modulo QP."""
    symbols = [facts.symbols[value] for value in node.inputs]
    if not symbols:
        return 0
    level = max(symbol.level for symbol in symbols)
    rows = len(limbs.q_limbs(level, 0)) + len(limbs.p_limbs(0))
    switching = (len(params.digits(level)) + 2) * rows * params.degree * RESIDUE_BYTES
    one = _ciphertext_bytes(Symbol(level, 1.0), params, limbs)
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
