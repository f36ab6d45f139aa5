"""Signatures against the clear interpreter: one token block or feature block is changed at a time.

Values come from two runs of whole programs, so they are where approximations hold.
"""

from __future__ import annotations

import typing

import numpy as np
import pytest

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.coupling import Coupling
from aegis_fhe.placement.coupling.operators import Couplings, OperatorCoupling
from aegis_fhe.placement.coupling.places import Place, places
from aegis_fhe.program.clear import ClearValue
from aegis_fhe.program.graph import Node
from aegis_fhe.program.operators import Input, Operator, Refresh

from .observed import Observer
from .programs import PROGRAMS, Program, program_of

Array = np.ndarray
TOLERANCE = 1e-9


def grid_shape(where: list[Place]) -> tuple[int, int, int]:
    """(token blocks, feature blocks, values of one place)."""
    blocks = 1 + max(place.token_block for place in where)
    columns = 1 + max(place.feature_block for place in where)
    most = max(where.count(place) for place in where)
    return blocks, columns, most


def on_grid(values: list[Array], where: list[Place], shape: tuple[int, int, int]) -> Array:
    """[token block, feature block, values of one place, slots]; zero where there is none."""
    grid = np.zeros((*shape, len(values[0])), dtype=np.result_type(*values))
    used: dict[Place, int] = {}
    for value, place in zip(values, where, strict=True):
        number = used[place] = used.get(place, -1) + 1
        grid[place.token_block, place.feature_block, number] = value
    return grid


def from_grid(grid: Array, where: list[Place]) -> list[Array]:
    used: dict[Place, int] = {}
    values = []
    for place in where:
        number = used[place] = used.get(place, -1) + 1
        values.append(grid[place.token_block, place.feature_block, number])
    return values


def seen(program: Program, node: Node, found: OperatorCoupling, role: str) -> tuple[Coupling, Coupling]:
    """Of token and feature blocks, when the values of one role change."""
    inputs = [program.runs[0][name] for name in node.inputs]
    mine = [i for i, place in enumerate(found.places.inputs) if place.role == role]
    where = [found.places.inputs[i] for i in mine]
    shape, results = grid_shape(where), list(found.places.outputs)
    out_shape = grid_shape(results)

    def function(grid: Array) -> Array:
        changed = list(inputs)
        for i, slots in zip(mine, from_grid(grid, where), strict=True):
            changed[i] = ClearValue(slots, inputs[i].symbol)
        made = node.operator.lower(program.backend, changed, program.context)
        return on_grid([value.slots for value in made], results, out_shape)

    first, second = (on_grid([run[node.inputs[i]].slots for i in mine], where, shape) for run in program.runs)
    scale = np.abs(function(first)).max()
    observer = Observer(function, first, lambda x: second, lambda a, b: np.abs(a - b) <= TOLERANCE * scale)
    return observer.coupling(0), observer.coupling(1)


def different(program: Program) -> list[Node]:
    """One node of each operator, inputs and stage: tokens of other blocks are no other case."""
    chosen = {}
    for node in program.graph.nodes:
        if not isinstance(node.operator, Input):
            kind = getattr(node.operator, "operator", node.operator)
            key = type(node.operator), type(kind), len(node.inputs), len(node.outputs)
            chosen.setdefault(key, node)
    return list(chosen.values())


@pytest.mark.parametrize("name", PROGRAMS)
def test_grid_axes_are_tied_as_derived(name: str):
    program = program_of(name)
    couplings, symbols = Couplings(program.params, program.context), program.symbols
    for node in different(program):
        if isinstance(node.operator, Refresh):
            continue  # in the clear its values have nothing to do with each other; see test_refresh
        found = couplings.of(node, symbols)
        for role, signature in found.roles.items():
            expected = signature.token_block, signature.feature_block
            assert seen(program, node, found, role) == expected, (node.name, node.operator, role)


def test_programs_have_every_operator():
    """So none has a signature that nothing checks; an operator without places is in no program here."""
    used = {type(n.operator) for name in PROGRAMS for n in program_of(name).graph.nodes}
    assert used == set(typing.get_args(Operator))


def test_an_operator_without_places_is_refused():
    class Teleport:
        pass

    with pytest.raises(CompatibilityError, match=r"Teleport.*placement\.coupling\.places"):
        places(Teleport(), 1, 1)


def test_what_attention_ties_together():
    """Keys and values of all token blocks, summed; features of Q and K inside exp, those of V not at all."""
    program = program_of("encoder")
    couplings = Couplings(program.params, program.context)
    node = next(n for n in program.graph.nodes if n.stage == "attend")
    roles = couplings.of(node, program.symbols).roles
    independent, contracted, gathered = Coupling.INDEPENDENT, Coupling.CONTRACTED, Coupling.GATHERED
    assert {role: (s.token_block, s.feature_block) for role, s in roles.items()} == {
        "queries": (independent, gathered),
        "keys": (contracted, gathered),
        "values": (contracted, independent),
    }
    assert {s.limb for s in roles.values()} == {gathered}
