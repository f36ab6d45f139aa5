"""Tiny programs that have every operator between them, with the values of two runs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from aegis_fhe.bench.drawn_layer import draw_layer
from aegis_fhe.circuits.bootstrap import presets as refreshing
from aegis_fhe.ckks import Parameters, presets
from aegis_fhe.program.clear import ClearBackend, ClearValue
from aegis_fhe.program.graph import Graph
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.long.compile import LongProgram, compile_layer, compile_unrefreshed
from aegis_fhe.program.long.divide import Division, divide
from aegis_fhe.program.long.shape import Degrees, LayerShape
from aegis_fhe.program.operators import Context
from program.long.layers import DECODER, ENCODER, UNEVEN
from program.long.test_known import known
from program.tiny import hidden_states, tiny_program

DEGREES = Degrees(exponential=15, squarings=2, reciprocal=63, newton_steps=2, inverse_sqrt=31, activation=31)
TOKENS = 32


@dataclass(frozen=True)
class Program:
    """A graph, what its operators may know, and all values of two runs on different texts."""

    params: Parameters
    graph: Graph
    context: Context
    runs: tuple[Mapping[str, ClearValue], Mapping[str, ClearValue]]

    @property
    def symbols(self) -> dict:
        return {name: value.symbol for name, value in self.runs[0].items()}

    @property
    def backend(self) -> ClearBackend:
        return ClearBackend(self.params.q, self.params.slots)


def of_long(program: LongProgram, hidden: np.ndarray) -> Program:
    backend, context = ClearBackend(program.params.q, program.params.slots), program.context(len(hidden))

    def run(states: np.ndarray) -> dict[str, ClearValue]:
        values = {
            name: backend.encode(x, program.input_level, program.params.scale)
            for name, x in program.pack(states).items()
        }
        for node in program.graph.nodes:
            run_node(node, backend, values, context)
        return values

    return Program(program.params, program.graph, context, (run(hidden), run(hidden[::-1].copy())))


def refreshed(shape: LayerShape, division: Division) -> Program:
    """Two token blocks of 16."""
    layer = draw_layer(shape, TOKENS)
    plan = refreshing.insecure(9, levels_left=14)
    program = compile_layer(
        shape, layer.weights, layer.ranges, tokens=TOKENS, bootstrap=plan, degrees=DEGREES
    )
    divided = dataclasses.replace(program, graph=divide(program.graph, division))
    return of_long(divided, layer.hidden)


def in_rounds(most_scores: int | None) -> Program:
    """Scores that stay between passes, or are made again."""
    layer = draw_layer(ENCODER, TOKENS, rounds=1)
    program = compile_unrefreshed(
        ENCODER,
        layer.weights,
        layer.ranges,
        slots=256,
        tokens=TOKENS,
        parameters=_parameters(9),
        degrees=dataclasses.replace(DEGREES, rounds=((63, 1),)),
        most_scores=most_scores,
    )
    return of_long(program, layer.hidden)


def with_known() -> Program:
    """Offsets of keys and keys of public tokens are added in clear."""
    layer = known(draw_layer(DECODER, TOKENS), public=2)
    program = compile_unrefreshed(
        DECODER,
        layer.weights,
        layer.ranges,
        slots=256,
        tokens=TOKENS,
        parameters=_parameters(9),
        degrees=DEGREES,
    )
    return of_long(program, layer.hidden)


def short() -> Program:
    """Attention on the layout for short texts: two blocks of 8 tokens."""
    _, hidden, program = tiny_program()
    backend, context = ClearBackend(program.params.q, program.params.slots), program.context(len(hidden))

    def run(states: np.ndarray) -> dict[str, ClearValue]:
        packed = zip(program.input_names(), program.pack(states), strict=True)
        values = {name: backend.encode(x, program.input_level, program.params.scale) for name, x in packed}
        for node in program.graph.nodes:
            run_node(node, backend, values, context)
        return values

    runs = run(hidden), run(hidden_states(len(hidden), seed=4) / 2)
    return Program(program.params, program.graph, context, runs)


def _parameters(log_degree: int) -> Callable[[int], Parameters]:
    return lambda levels: presets.insecure(log_degree=log_degree, levels=levels, digit_size=10)


ROWS = Division(parts=2, giants=2, rows=frozenset({"output", "contract"}))
OWN_FIRST = Division(parts=2, shared=frozenset({"expand"}), own_first=True)
PROGRAMS: dict[str, Callable[[], Program]] = {
    "encoder": functools.partial(refreshed, ENCODER, Division()),
    "uneven": functools.partial(refreshed, UNEVEN, Division()),
    "decoder": functools.partial(refreshed, DECODER, Division()),
    "decoder in rows": functools.partial(refreshed, DECODER, ROWS),
    "encoder by queries": functools.partial(refreshed, ENCODER, Division(queries=True, babies=True)),
    "decoder in chunks": functools.partial(refreshed, DECODER, Division(queries=True, chunks=2)),
    "giant steps in chunks": functools.partial(refreshed, ENCODER, Division(giants=2, chunks=2)),
    "shared babies": functools.partial(refreshed, ENCODER, Division(parts=2, shared=frozenset({"expand"}))),
    "own terms first": functools.partial(refreshed, ENCODER, OWN_FIRST),
    "resident": functools.partial(in_rounds, None),
    "again": functools.partial(in_rounds, 0),
    "known": with_known,
    "short": short,
}


@functools.cache
def program_of(name: str) -> Program:
    return PROGRAMS[name]()
