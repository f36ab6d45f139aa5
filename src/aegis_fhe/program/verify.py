"""Does a program keep the promises that its operators rely on? Levels, scales and layouts, node by node."""

from __future__ import annotations

import numpy as np

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.errors import LayoutError
from aegis_fhe.program.clear import Array, ClearValue
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import release, run_node, uses
from aegis_fhe.program.operators import Attend, Input, Refresh, SumOfRotations
from aegis_fhe.program.support import SupportBackend


def verify(program: CompiledProgram) -> None:
    """Runs the program on supports (and with them on levels and scales) and checks every node's inputs.

    A window sum must find nothing outside zone 0, or it would mix two tokens; attention must find nothing
    outside the zones. Raises LayoutError, LevelError or ScaleError, each naming the node.
    """
    params, layout = program.params, program.layout
    backend = SupportBackend(params.q, params.slots)
    context = program.context(program.max_tokens)
    fresh = layout.pack(np.ones((layout.tokens, layout.width)))
    values: dict[str, ClearValue] = {}
    left = uses(program.graph.nodes, program.graph.results)
    for node in program.graph.nodes:
        if isinstance(node.operator, Input):
            values[node.outputs[0]] = backend.encode(fresh, node.operator.level, params.scale)
        _check_layout(program, node, [values[name].slots for name in node.inputs])
        if isinstance(node.operator, Refresh):
            _refresh(program, node, values)
        else:
            run_node(node, backend, values, context)
        release(node, left, values)


def _refresh(program: CompiledProgram, node: Node, values: dict[str, ClearValue]) -> None:
    """A bootstrap leaves what is zero as zero, but for its noise."""
    assert program.bootstrap is not None
    symbol = Symbol(program.bootstrap.output_level, program.params.scale)
    for made, source in zip(node.outputs, node.inputs, strict=True):
        values[made] = ClearValue(values[source].slots, symbol)


def _check_layout(program: CompiledProgram, node: Node, supports: list[Array]) -> None:
    match node.operator:
        case SumOfRotations():
            _within(program, node, supports[:1], zones=1)
        case Attend():
            _within(program, node, supports[1:], zones=program.layout.zones)
        case _:
            pass


def _within(program: CompiledProgram, node: Node, supports: list[Array], *, zones: int) -> None:
    layout = program.layout
    for name, support in zip(node.inputs[-len(supports) :], supports, strict=True):
        outside = support.reshape(layout.tokens, layout.sub_slots)[:, zones * layout.width :]
        if outside.any():
            first = int(np.flatnonzero(outside.any(axis=0))[0]) + zones * layout.width
            raise LayoutError(
                f"node {node.name} ({type(node.operator).__name__}): {name} reaches sub-slot {first}, "
                f"but only the first {zones * layout.width} of {layout.sub_slots} may be used: mask it first"
            )
