"""What an operation takes is what its code takes of an arena; what a node takes is the same whether its
scores are looked at one by one or noted down again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aegis_fhe.bench.ring_benchmark import threads_set
from aegis_fhe.circuits.bootstrap import presets as bootstraps
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks import (
    Ciphertext,
    EvaluationKeys,
    Evaluator,
    KeyRequest,
    Parameters,
    SlotVector,
    presets,
)
from aegis_fhe.ckks.secret import SecretKey, evaluation_keys
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


DENSE, PERIODIC = SlotVector(np.ones(256)), SlotVector(np.ones(8))
SCALE = 2.0**40

# Of a backend and two ciphertexts at one level.
OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda b, x, y: b.add(x, y),
    "sub": lambda b, x, y: b.sub(x, b.drop_to(y, b.level(y) - 1)),
    "add_scalar": lambda b, x, y: b.add_scalar(x, 1.0),
    "mul_scalar": lambda b, x, y: b.mul_scalar(x, 0.5, SCALE),
    "combination": lambda b, x, y: b.linear_combination([x, y, x], [0.5, 2.0, 1.0], SCALE**2, constant=1.0),
    "combination with a product": lambda b, x, y: b.linear_combination(
        [y], [-1.0], SCALE**2, onto=b.multiply(x, y)
    ),
    "product minus": lambda b, x, y: b.sub(b.multiply(x, y), b.with_scale(x, b.scale(x) * b.scale(y))),
    "mul_i": lambda b, x, y: b.mul_i(x),
    "add_plain": lambda b, x, y: b.add_plain(x, DENSE),
    "add_plain, periodic": lambda b, x, y: b.add_plain(x, PERIODIC),
    "mul_plain": lambda b, x, y: b.mul_plain(x, DENSE, SCALE),
    "mul_plain, periodic": lambda b, x, y: b.mul_plain(x, PERIODIC, SCALE),
    "sums": lambda b, x, y: b.mul_plain_sums([x, y], [[DENSE, None], [DENSE, DENSE]], SCALE),
    "sums, periodic": lambda b, x, y: b.mul_plain_sums([x, y], [[PERIODIC, None]] * 3, SCALE),
    "product": lambda b, x, y: b.multiply_sum([x, y], [y, x]),
    "rescale": lambda b, x, y: b.rescale(x),
    "relinearize": lambda b, x, y: b.relinearize(b.multiply_sum([x], [y])),
    "relinearize_rescale": lambda b, x, y: b.relinearize_rescale(b.multiply_sum([x], [y])),
    "rotations": lambda b, x, y: b.rotate_many(x, [0, 1, 2]),
    "conjugate": lambda b, x, y: b.conjugate(x),
    "sum of one": lambda b, x, y: b.rotate_sum([x], [1]),
    "sum of one, twice": lambda b, x, y: b.rotate_sum([x, x], [0, 1]),
    "sum of two": lambda b, x, y: b.rotate_sum([x, y, x], [1, 2, 0]),
    "sum, rescaled": lambda b, x, y: b.rotate_sum_rescale([x, y], [1, 2]),
    "sum, rescaled, not turned": lambda b, x, y: b.rotate_sum_rescale([x, y], [0, 0]),
}


def strided() -> Parameters:
    """Digits whose rows are written out one by one."""
    return bootstraps.tiny(9).params


def runs() -> Parameters:
    """Digits of limbs in a row, which one kernel makes."""
    return presets.insecure(9, 17, digit_size=5)


@pytest.mark.parametrize("make", [strided, runs])
@pytest.mark.parametrize("level", [-1, 3])
def test_an_operation_takes_what_its_code_takes(make: Callable[[], Parameters], level: int):
    """Of rows that are pages here: no more, and less only by what the arena rounds a block up, under 1/16."""
    params = make()
    level = level % (params.max_level + 1)
    requests = [KeyRequest(step, params.max_level) for step in ("relin", "conj", 1, 2)]
    secret = SecretKey.generate(params, seed=b"memory")
    keys = EvaluationKeys.collect(params, evaluation_keys(secret, requests, seed=b"memory"))
    evaluator = Evaluator(params, keys)
    for request in requests:
        evaluator.expanded.halves(keys.find(request, params.degree))
    arena, row = params.ring.arena, params.degree * 8
    whole = LimbPlacement(world_size=1, limbs=len(params.q), specials=len(params.p))
    assert row == 4096
    for name, operation in OPERATIONS.items():
        x, y = (Ciphertext(parts=arena.zeros((2, level + 1, params.degree)), scale=SCALE) for _ in range(2))
        arena.trim()
        before = arena.bytes().in_use
        arena.reset_peaks()
        with threads_set(1):  # each has scratch of its own
            result = operation(evaluator, x, y)
        taken = (arena.bytes().peak_in_use - before) / row
        predicted = NodeMemory(params, whole)
        kept = operation(predicted, Symbol(level, SCALE), Symbol(level, SCALE))
        # Up to eight pages are scratch of conversions, which does not grow with N.
        assert taken * 15 / 16 - 8 <= predicted.peak <= taken, name
        del result, kept
