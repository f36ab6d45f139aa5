"""Simplifying keeps the function and removes exactly what is repeated or unused."""

from __future__ import annotations

import numpy as np

from aegis_fhe.program.network import Add, Gelu, Linear, Multiply, Network, NetworkNode, evaluate
from aegis_fhe.program.network.graph import INPUT
from aegis_fhe.program.network.simplify import simplify

LINEAR = Linear(weight="w", bias=None, in_features=3, out_features=3)


def node(name, operator, *inputs):
    return NetworkNode(name=name, operator=operator, inputs=inputs)


def network(*nodes, result):
    return Network(features=3, nodes=nodes, result=result)


def test_repeated_operators_become_the_first_and_so_do_those_that_follow_from_them():
    given = network(
        node("a", LINEAR, INPUT),
        node("b", LINEAR, INPUT),
        node("gelu a", Gelu(), "a"),
        node("gelu b", Gelu(), "b"),
        node("tanh form", Gelu(tanh=True), "b"),
        node("product", Multiply(), "gelu a", "gelu b"),
        node("sum", Add(), "product", "tanh form"),
        result="sum",
    )
    found = simplify(given)
    assert [(part.name, part.inputs) for part in found.nodes] == [
        ("a", (INPUT,)),
        ("gelu a", ("a",)),
        ("tanh form", ("a",)),
        ("product", ("gelu a", "gelu a")),
        ("sum", ("product", "tanh form")),
    ]
    rng = np.random.default_rng(0)
    weights, hidden = {"w": rng.normal(size=(3, 3))}, rng.normal(size=(4, 3))
    assert np.array_equal(evaluate(found, weights, hidden), evaluate(given, weights, hidden))


def test_what_the_result_does_not_need_goes_with_all_that_only_it_needed():
    given = network(
        node("kept", Gelu(), INPUT),
        node("unused", LINEAR, "kept"),
        node("also unused", Gelu(), "unused"),
        result="kept",
    )
    assert [part.name for part in simplify(given).nodes] == ["kept"]


def test_a_result_that_is_a_repetition_is_renamed():
    given = network(node("first", Gelu(), INPUT), node("second", Gelu(), INPUT), result="second")
    assert simplify(given) == network(node("first", Gelu(), INPUT), result="first")


def test_a_network_without_operators_stays_the_input():
    assert simplify(network(node("unused", Gelu(), INPUT), result=INPUT)) == network(result=INPUT)
