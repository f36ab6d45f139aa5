"""Nodes that are taken to do the same as others do the same: counts, keys, exchanges, memory and levels."""

from __future__ import annotations

import pytest

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.placement.facts import nothing_seen
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.node_memory import NodeMemory
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.long.product_terms import ProductTerms
from aegis_fhe.program.long.score_chunks import ScoreChunk
from aegis_fhe.program.long.shape import LayerShape
from aegis_fhe.program.long.shape_program import ShapeProgram
from aegis_fhe.program.long.weighted_sums import WeightedSums
from aegis_fhe.program.operators import Input

from .small_workload import SHAPE, small_workload

CAUSAL = LayerShape.decoder(features=40, heads=4, key_value_heads=2, head_dim=10, hidden=72)
DIVISIONS = {
    "columns": Division(giants=2, chunks=4, parts=3, paired=True),
    "queries": Division(queries=True, chunks=3, parts=2),
    "own first": Division(parts=2, shared=frozenset({"qkv", "expand"}), paired=True, own_first=True),
    "terms": Division(parts=3, rows=frozenset({"contract", "output"})),
}


@pytest.mark.parametrize("division", DIVISIONS.values(), ids=DIVISIONS)
@pytest.mark.parametrize(("shape", "tokens"), [(SHAPE, 64), (SHAPE, 50), (CAUSAL, 64), (CAUSAL, 40)])
def test_a_known_node_is_as_if_it_ran(shape: LayerShape, tokens: int, division: Division):
    w = small_workload()
    params = w.bootstrap.params
    program = ShapeProgram.of(shape, w.bootstrap, tokens=tokens, degrees=w.degrees).divided(division)
    limbs = LimbPlacement(world_size=2, limbs=len(params.q), specials=len(params.p), placed="split")
    known = nothing_seen(params, limbs)
    symbols = [dict[str, Symbol](program.symbols) for _ in range(2)]
    nodes = [node for node in program.graph.nodes if not isinstance(node.operator, Input)]
    for node in nodes:
        backend = NodeMemory(params, limbs)
        run_node(node, backend, symbols[0], program.context)
        found = known.run(node, symbols[1], program.context)
        assert found.counts.by_level == backend.counts.by_level, node.name
        assert found.counts.keys == backend.counts.keys
        assert found.collectives == tuple(backend.collectives)
        assert found.rows == backend.peak
    assert symbols[0] == symbols[1]
    places = [
        node
        for node in nodes
        if isinstance(node.operator, MatrixProduct | ProductTerms | ScoreChunk | WeightedSums)
    ]
    alike = {known._operation(node.operator, program.context) for node in places}
    different = len({node.operator for node in places})
    assert len(alike) < different if shape is SHAPE else len(alike) <= different
