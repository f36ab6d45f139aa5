"""The layout verifier: supports are sound, and programs that would mix tokens or read rubbish are refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aegis_fhe.errors import LayoutError, LevelError
from aegis_fhe.program import CompiledProgram, Node
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.program.operators import AddPlain, RotateSum, SumOfRotations
from aegis_fhe.program.operators.plain import Term
from aegis_fhe.program.support import SupportBackend
from aegis_fhe.program.verify import verify

from .tiny import tiny_program


def inserted(program: CompiledProgram, before: str, what: str, node: Node) -> CompiledProgram:
    """The node put in front of another, which reads its value in place of `what`."""
    nodes = []
    for other in program.graph.nodes:
        if other.name == before:
            inputs = tuple(node.outputs[0] if name == what else name for name in other.inputs)
            assert inputs != other.inputs
            nodes.append(node)
            other = Node(
                name=other.name,
                operator=other.operator,
                block=other.block,
                stage=other.stage,
                inputs=inputs,
                outputs=other.outputs,
            )
        nodes.append(other)
    graph = dataclasses.replace(program.graph, nodes=tuple(nodes))
    return dataclasses.replace(program, graph=graph)


def node(program: CompiledProgram, operator: object, value: str) -> Node:
    outputs = ("spoilt[0]",)
    return Node(name="spoilt[0]", operator=operator, block=0, stage="", inputs=(value,), outputs=outputs)


def test_compiled_programs_pass():
    for arguments in ((), (32, 10), (16, 11, 0.0)):
        verify(tiny_program(*arguments)[2])


def test_supports_are_sound(tiny, encrypted):
    """Every slot that is not zero in a real run belongs to the support of its value."""
    program = tiny.program
    params, layout = program.params, program.layout
    backend = SupportBackend(params.q, params.slots)
    fresh = layout.pack(np.ones((layout.tokens, layout.width)))
    inputs = {name: backend.encode(fresh, params.max_level, params.scale) for name in program.input_names()}
    supports: dict[str, np.ndarray] = {}
    run_graph(
        program.graph,
        backend,
        inputs,
        program.context(program.max_tokens),
        observe=lambda node, values: supports.update(
            zip(node.outputs, (value.slots for value in values), strict=True)
        ),
    )
    assert set(supports) == set(encrypted.clear)
    for name, values in encrypted.clear.items():
        assert not values[supports[name] == 0].any(), name


# A window sum and attention rely on zeros; these operators put something there.
EVERYWHERE = AddPlain((Term("score.floor"),))
SPOILT = {
    "a window sum of a window sum": ("variance[0]", "z.squared[0]", SumOfRotations((1, 2)), "variance"),
    "a window sum of a shifted value": ("variance[0]", "z.squared[0]", RotateSum((-32,)), "variance"),
    "attention of values with a constant beside": (
        "o.group0[0]",
        "values.group0[0]",
        EVERYWHERE,
        r"o\.group0",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_rubbish_where_zeros_must_be_is_refused(tiny, case):
    before, value, operator, named = SPOILT[case]
    spoilt = inserted(tiny.program, before, value, node(tiny.program, operator, value))
    with pytest.raises(LayoutError, match=rf"node {named}\[0\] \(\w+\): spoilt\[0\] reaches sub-slot \d+"):
        verify(spoilt)


def test_levels_are_verified_too(tiny):
    """A node that asks for a level that is not there any more."""
    last = node(tiny.program, SumOfRotations((), 1), "z.normalised[0]")
    deeper = inserted(tiny.program, "y[0]", "z.normalised[0]", last)
    with pytest.raises(
        LevelError, match=r"node spoilt\[0\] \(SumOfRotations of z\.normalised\[0\] \(level 0"
    ):
        verify(deeper)
