"""What a node takes is the same whether its scores are looked at one by one or noted down again."""

from __future__ import annotations

import pytest

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.node_memory import NodeMemory
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.long.score_chunks import ScoreChunk
from aegis_fhe.program.long.shape_program import ShapeProgram

from .small_workload import small_workload


class OneByOne(NodeMemory):
    """Every score is looked at."""

    repeated = SymbolicBackend.repeated


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("chunks", [0, 2])
def test_scores_noted_down_again_take_as_much(devices: int, chunks: int):
    w = small_workload()
    program = ShapeProgram.of(w.shape, w.bootstrap, tokens=w.tokens, degrees=w.degrees)
    program, params = program.divided(Division(chunks=chunks)), w.bootstrap.params
    limbs = LimbPlacement(
        world_size=devices,
        limbs=len(params.q),
        specials=len(params.p),
        placed="split" if devices > 1 else "replicated",
    )
    symbols = [dict[str, Symbol](program.symbols) for _ in range(2)]
    compared = 0
    for node in program.graph.nodes:
        found = [NodeMemory(params, limbs), OneByOne(params, limbs)]
        for backend, values in zip(found, symbols, strict=True):
            run_node(node, backend, values, program.context)
        noted, seen = found
        assert noted.peak == seen.peak, node.name
        assert noted.counts.by_level == seen.counts.by_level
        assert noted.counts.keys == seen.counts.keys
        assert noted.collectives == seen.collectives
        compared += isinstance(node.operator, StreamingAttention | ScoreChunk)
    assert compared
    assert symbols[0] == symbols[1]
