"""The symbolic interpreter refuses what the encrypted run would refuse, and names the node."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, SlotVector, presets
from aegis_fhe.errors import AegisError, CompatibilityError, LevelError, ScaleError
from aegis_fhe.program import Graph, Node, TokenMajorLayout, compile_attention
from aegis_fhe.program.graph import GraphBuilder
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.program.operators import Add, AddScalar, Context, Input, Multiply, Polynomial, SumOfRotations

from .tiny import wide_ranges

PARAMS = presets.insecure(log_degree=8, levels=3, digit_size=2)
LAYOUT = TokenMajorLayout(slots=PARAMS.slots, tokens=4, heads=2, head_dim=4, zones=1)


def interpret(builder: GraphBuilder, result: str, level: int = 3) -> None:
    context = Context(layout=LAYOUT, constants={}, scale=PARAMS.scale, tokens=4)
    backend = SymbolicBackend(PARAMS.q, PARAMS.slots)
    run_graph(builder.build((result,)), backend, {"x[0]": Symbol(level, PARAMS.scale)}, context)


def start() -> tuple[GraphBuilder, str]:
    builder = GraphBuilder()
    return builder, builder.one("x", Input(3), 0)


def test_too_few_levels_name_the_node():
    builder, value = start()
    for i in range(4):
        value = builder.one(f"power{i}", Multiply(), 0, value)
    found = r"node power3\[0\] \(Multiply of power2\[0\] \(level 0, scale 2\^.*level 0"
    with pytest.raises((LevelError, ScaleError), match=found):
        interpret(builder, value)


def test_a_polynomial_that_is_too_deep_names_the_node():
    builder, value = start()
    value = builder.one("deep", Polynomial(-1.0, 1.0, (0.0,) * 15 + (1.0,)), 0, value)
    with pytest.raises(LevelError, match=r"node deep\[0\] \(Polynomial of x\[0\] .*takes 4 levels"):
        interpret(builder, value)


def test_mismatched_scales_name_the_node():
    """x^2 and x differ by q_3 / 2^40 in scale."""
    builder, value = start()
    square = builder.one("square", Multiply(), 0, value)
    total = builder.one("total", Add(), 0, square, value)
    with pytest.raises(ScaleError, match=r"node total\[0\] \(Add of square\[0\] .*cannot be added"):
        interpret(builder, total)


def test_a_level_above_the_value_names_the_node():
    builder, value = start()
    total = builder.one("sum", SumOfRotations((1,), 5), 0, value)
    with pytest.raises(LevelError, match=r"node sum\[0\].*cannot drop from level 3 to level 5"):
        interpret(builder, total)


def test_compilation_on_too_short_a_chain_names_the_node(tiny):
    """A preset that gives one level less than it is asked for."""
    with pytest.raises((LevelError, ScaleError), match=r"node z\.normalised\[0\] \(Multiply of .*level 0"):
        compile_attention(
            tiny.module,
            torch.zeros(1, 16, 32),
            wide_ranges(tiny.module, tiny.hidden),
            parameters=lambda levels: presets.insecure(
                log_degree=11, levels=max(levels - 1, 1), digit_size=10
            ),
        )


def test_missing_input_is_named():
    builder, value = start()
    graph = builder.build((value,))
    context = Context(layout=LAYOUT, constants={}, scale=PARAMS.scale, tokens=4)
    with pytest.raises(AegisError, match="input of token block 0 was not given"):
        run_graph(graph, SymbolicBackend(PARAMS.q, PARAMS.slots), {}, context)


def node(name: str, *inputs: str) -> Node:
    return Node(name=name, operator=AddScalar(1.0), block=0, stage="", inputs=inputs, outputs=(name,))


@pytest.mark.parametrize(
    ("nodes", "results", "message"),
    [
        ((node("a", "b"), node("b")), ("a",), "node a uses b before it exists"),
        ((node("a"), node("a")), ("a",), "node a makes a a second time"),
        ((node("a"),), ("a", "z"), "never makes its results z"),
    ],
)
def test_broken_graphs_are_refused(nodes, results, message):
    with pytest.raises(CompatibilityError, match=message):
        Graph(nodes, results)


class _Both:
    """One operation on both backends, from values of the same level, scale and components."""

    def __init__(self) -> None:
        params = presets.insecure(log_degree=8, levels=3, digit_size=2)
        self.symbolic = SymbolicBackend(params.q, params.slots)
        self.encrypted = Evaluator(params, EvaluationKeys.collect(params, []))

    def pairs(self, level: int, scale: float, components: int = 2):
        parts = torch.zeros((components, level + 1, PARAMS.degree), dtype=torch.int64)
        return (
            (self.symbolic, Symbol(level, scale, components)),
            (self.encrypted, Ciphertext(parts=parts, scale=scale)),
        )


LONG = SlotVector(np.ones(2 * PARAMS.slots))
REFUSED = {
    "rescale at level 0": (0, 2, lambda b, x: b.rescale(x)),
    "drop to a higher level": (1, 2, lambda b, x: b.drop_to(x, 2)),
    "drop below level 0": (1, 2, lambda b, x: b.drop_to(x, -1)),
    "add other scales": (2, 2, lambda b, x: b.add(x, b.with_scale(x, 2.0**39))),
    "product beyond the modulus": (0, 2, lambda b, x: b.multiply(x, x)),
    "rotate a product": (2, 3, lambda b, x: b.rotate(x, 1)),
    "rotate a sum of products": (2, 3, lambda b, x: b.rotate_sum([x, x], [0, 1])),
    "conjugate a product": (2, 3, lambda b, x: b.conjugate(x)),
    "multiply a product": (2, 3, lambda b, x: b.multiply(x, x)),
    "multiply unequal counts": (2, 2, lambda b, x: b.multiply_sum([x, x], [x])),
    "rotate with too few steps": (2, 2, lambda b, x: b.rotate_sum([x, x], [1])),
    "add too long a plaintext": (2, 2, lambda b, x: b.add_plain(x, LONG)),
    "multiply by too long a plaintext": (2, 2, lambda b, x: b.mul_plain(x, LONG, 2.0**40)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_symbolic_run_refuses_what_the_encrypted_run_refuses(case):
    level, components, operation = REFUSED[case]
    for backend, x in _Both().pairs(level, PARAMS.scale, components):
        with pytest.raises(AegisError):
            operation(backend, x)


def test_two_rotations_of_one_value_are_two_values():
    """A sum over different ciphertexts takes a ModUp for each, also when their symbols are equal."""
    backend = SymbolicBackend(PARAMS.q, PARAMS.slots)
    rotated = backend.rotate_many(Symbol(3, PARAMS.scale), [1, 2])
    before = backend.counts.total("mod up")
    backend.rotate_sum(rotated, [4, 8])
    assert backend.counts.total("mod up") - before == 2


def test_levels_of_the_program_are_what_its_nodes_were_verified_at(tiny):
    """Symbols of every value; results end at level 0, all relinearised."""
    symbols = tiny.program.symbols()
    assert set(symbols) == {value for each in tiny.program.graph.nodes for value in each.outputs}
    assert {symbols[name].level for name in tiny.program.graph.results} == {0}
    assert {symbol.components for symbol in symbols.values()} == {2}
    longer = dataclasses.replace(
        tiny.program,
        params=presets.insecure(11, tiny.program.params.max_level + 1, 10),
    )
    assert {longer.symbols()[name].level for name in longer.graph.results} <= {0, 1}
