"""When a device of a schedule holds most: values from their arrival to their last use, and operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.key_request import TO_SPARSE
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost import RESIDUE_BYTES
from aegis_fhe.placement.device_keys import DeviceKeys
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.program.operators import Input


def fullest_moment(
    plan: Schedule,
    facts: GraphFacts,
    params: Parameters,
    layout: MeshLimbs,
    rank: int,
    results: Sequence[str],
    copied: Mapping[int | str, int],
) -> tuple[int, int]:
    """(bytes alive, bytes inside the operator) at the moment when both together are most."""
    group, form_of = plan.mesh.place(rank)[0], plan.assignment.form

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
            if form == "shared":
                inside += max((copied.get(step, 0) for step in facts.nodes[node.name].counts.keys), default=0)
            most = max(most, (alive.bytes, inside), key=sum)
            alive.add(node.outputs, form)
            alive.use(node.inputs, form)
    return most


def copied_rows(keys: DeviceKeys, params: Parameters, layout: MeshLimbs, rank: int) -> dict[int | str, int]:
    """Bytes of the rows that the team takes of a key which its group holds, as long as it multiplies with
    them (`runtime.limbs.KeyRows`), by step.
    """
    viewed = (key for key in keys.whole if key.request.step in keys.viewed and key.digits)
    return {
        key.request.step: key.nbytes(params.degree)
        // len(key.limbs)
        * len((*layout.held("shared", key.request.level, rank), *layout.specials("shared", rank)))
        for key in viewed
        if key.request.step != TO_SPARSE
    }


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
