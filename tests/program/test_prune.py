"""Graphs without what their results do not need."""

from __future__ import annotations

from aegis_fhe.program.graph import GraphBuilder
from aegis_fhe.program.operators import Add, Input, Refresh
from aegis_fhe.program.prune import prune
from program.encoder.tiny_encoder import tiny_encoder


def built() -> tuple[GraphBuilder, tuple[str, ...], list[str]]:
    b = GraphBuilder()
    x = [b.one("x", Input(3), p) for p in range(2)]
    fresh = b.many(("y", "y.partner"), Refresh(), 0, tuple(x))
    return b, fresh, [b.one("sum", Add(), p, x[p], y) for p, y in enumerate(fresh)]


def test_what_is_needed_stays_in_its_order():
    b, _, sums = built()
    graph = b.build((*sums,))
    assert prune(graph) == graph


def test_a_bootstrap_loses_the_half_that_nobody_wants():
    for wanted in (0, 1):
        b, fresh, sums = built()
        found = prune(b.build((sums[wanted],)))
        (refresh,) = [node for node in found.nodes if isinstance(node.operator, Refresh)]
        assert (refresh.inputs, refresh.outputs) == ((f"x[{wanted}]",), (fresh[wanted],))
        assert [node.name for node in found.nodes] == [f"x[{wanted}]", fresh[wanted], sums[wanted]]


def test_an_encoders_graph_has_nothing_to_lose():
    _, program = tiny_encoder(mean=True)
    assert prune(program.graph) == program.graph
