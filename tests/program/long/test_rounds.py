"""Rounds of normalise-and-square: values against softmax, levels against other orders, exact counts."""

from __future__ import annotations

import dataclasses
import functools
import itertools

import numpy as np
import pytest

from aegis_fhe.bench.drawn_layer import SHIFT, DrawnLayer, draw_layer, named_weights, reference_network
from aegis_fhe.circuits.bootstrap import presets as refreshing
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks import SlotVector, presets
from aegis_fhe.errors import RangeError
from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.long.compile import LongProgram, compile_layer, compile_unrefreshed
from aegis_fhe.program.long.counts import LayerCounts, count_layer
from aegis_fhe.program.long.rounds import normalise_and_square, round_level, useful_level
from aegis_fhe.program.long.shape import SMOLLM2_135M, Degrees, LayerRanges, LayerShape
from aegis_fhe.program.network import Attention, evaluate
from aegis_fhe.program.operators import Refresh
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.simulate import SoftmaxRanges
from aegis_fhe.program.simulate.noise import Noise
from aegis_fhe.program.simulate.outside import Outside
from aegis_fhe.program.simulate.softmax import SimulatedAttention

from .layers import DECODER, ENCODER, UNEVEN

MODULI = (2**50, *(2**40 for _ in range(14)))
SCALE = 2.0**40
PRECISE = Degrees(
    exponential=31, squarings=1, reciprocal=127, newton_steps=1, inverse_sqrt=63, activation=127
)


def compiled(
    layer: DrawnLayer, tokens: int, log_degree: int, *, most_scores: int | None, rounds: tuple[int, int]
) -> LongProgram:
    return compile_unrefreshed(
        layer.shape,
        layer.weights,
        layer.ranges,
        slots=1 << (log_degree - 1),
        tokens=tokens,
        parameters=lambda levels: presets.insecure(log_degree=log_degree, levels=levels, digit_size=10),
        degrees=dataclasses.replace(PRECISE, rounds=(rounds,) * len(layer.ranges.rounds)),
        most_scores=most_scores,
    )


def attended(layer: DrawnLayer, program: LongProgram) -> np.ndarray:
    """What the program's attention makes, [tokens, heads, head_dim]: O / D, summed over key blocks."""
    shape, layout, found = layer.shape, program.layout, {}

    def observe(node, values):
        found.update(zip(node.outputs, (value.slots for value in values), strict=True))

    program.run_clear(layer.hidden, observe=observe)
    padded = 1 << (shape.heads - 1).bit_length()
    result = np.empty((layout.tokens * layout.blocks, shape.heads, shape.head_dim))
    for p, c in np.ndindex(layout.blocks, shape.head_dim):
        slots = found[f"attended0.{c}[{p}]"].reshape(layout.tokens, -1, padded)
        rows = slice(p * layout.tokens, (p + 1) * layout.tokens)
        result[rows, :, c] = slots.sum(axis=1)[:, : shape.heads] * layer.ranges.value
    return result[: len(layer.hidden)]


def simulated(layer: DrawnLayer) -> np.ndarray:
    """The same by `program.simulate`, without noise, on exact Q, K and V."""
    shape, ranges, seen = layer.shape, layer.ranges, {}
    network = reference_network(shape)
    evaluate(
        network, named_weights(layer.weights), layer.hidden, observe=lambda n, i, _: seen.update({n.name: i})
    )
    (node,) = (node for node in network.nodes if isinstance(node.operator, Attention))
    softmax = SoftmaxRanges(
        key_offset=tuple((0.0,) * shape.head_dim for _ in range(shape.heads)),
        shift=(SHIFT,) * shape.heads,
        growth=(0.0,) * shape.heads,
        score=ranges.score,
        rounds=len(ranges.rounds),
        denominators=(*ranges.rounds, ranges.denominator),
        unit=ranges.unit,
    )
    assert isinstance(node.operator, Attention)
    attention = SimulatedAttention.of(node.operator, softmax, bound=ranges.value, value_bound=ranges.value)
    outside = Outside()
    made = attention(*seen["attention"], Noise(60.0, np.random.default_rng(0)), outside)
    assert outside.messages() == ()
    return made.reshape(len(made), shape.heads, shape.head_dim)


@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize(
    ("shape", "tokens", "log_degree"),
    [
        (DECODER, 16, 10),  # shared keys, folded 8 times
        (DECODER, 13, 10),  # and padding
        (DECODER, 64, 10),  # two token blocks, folded 4 times, several giant steps
        (DECODER, 40, 9),  # three token blocks, the last half full
        (ENCODER, 16, 10),  # nothing masked
        (UNEVEN, 40, 10),  # two token blocks, empty sub-slots beside features and heads
    ],
)
def test_values(shape: LayerShape, tokens: int, log_degree: int, rounds: int):
    """The layer is the exact one; its attention is that of the simulated program; resident is recomputed."""
    layer = draw_layer(shape, tokens, rounds=rounds)
    programs = [compiled(layer, tokens, log_degree, most_scores=most, rounds=(63, 0)) for most in (None, 0)]
    first, second = (program.run_clear(layer.hidden) for program in programs)
    np.testing.assert_allclose(first, layer.result, rtol=0, atol=2e-6)
    np.testing.assert_allclose(second, first, rtol=0, atol=1e-9)
    np.testing.assert_allclose(attended(layer, programs[0]), simulated(layer), rtol=0, atol=2e-5)


def test_a_shorter_text_on_the_same_program():
    layer = draw_layer(DECODER, 24, rounds=2)
    for most_scores in (None, 0):
        program = compiled(layer, 24, 10, most_scores=most_scores, rounds=(63, 0))
        np.testing.assert_allclose(program.run_clear(layer.hidden[:17]), layer.result[:17], atol=2e-6)


@pytest.mark.parametrize("rounds", [0, 1])
def test_a_text_that_leaves_token_blocks_empty(rounds: int):
    """Three blocks, of which the text fills less than one."""
    layer = draw_layer(DECODER, 40, rounds=rounds)
    program = compiled(layer, 40, 9, most_scores=None, rounds=(63, 0))
    np.testing.assert_allclose(program.run_clear(layer.hidden[:10]), layer.result[:10], atol=2e-6)


def test_the_next_division_takes_a_round_factor_s_error_out():
    """1/D is off by percents, the result by nothing of it: shares of a query change by one factor."""
    layer = draw_layer(DECODER, 16, rounds=1)
    (interval,) = layer.ranges.rounds
    wider = dataclasses.replace(
        layer.ranges,
        rounds=(Interval(interval.low / 1.5, interval.high * 1.5),),
        denominator=Interval(layer.ranges.denominator.low * 0.8, layer.ranges.denominator.high * 1.2),
    )
    layer = dataclasses.replace(layer, ranges=wider)
    rough = compiled(layer, 16, 10, most_scores=None, rounds=(15, 0))
    exact = compiled(layer, 16, 10, most_scores=None, rounds=(63, 1))
    found: list[np.ndarray] = []
    for program in (rough, exact):
        values: dict[str, np.ndarray] = {}
        result = program.run_clear(
            layer.hidden,
            observe=lambda node, made, into=values: into.update(
                zip(node.outputs, (value.slots for value in made), strict=True)
            ),
        )
        np.testing.assert_allclose(result, layer.result, rtol=0, atol=2e-6)
        found.append(values["round0.reciprocal0.0[0]"])
    assert np.abs(found[0] / found[1] - 1).max() > 0.03


LEVELS = range(3, 9)


@pytest.mark.parametrize("masked", [False, True])
def test_levels_of_a_round(masked):
    """What is computed lies where the search of levels has it, and no other order of products is higher."""
    mask = SlotVector(np.ones(8)) if masked else None
    for y, f in itertools.product(LEVELS, LEVELS):
        backend = SymbolicBackend(MODULI, 8)
        made = normalise_and_square(backend, Symbol(y, SCALE), Symbol(f, SCALE), mask, SCALE)
        level = round_level(y, f, masked=masked)
        assert made.level == level
        assert level == round_level(y, useful_level(y, f, masked=masked), masked=masked)
        assert level > round_level(y, useful_level(y, f, masked=masked) - 1, masked=masked)
        counts = backend.counts
        assert (counts.total("product"), counts.total("plain product")) == (2, masked)
        squares_apart = max(
            min(y - 1 - before, f - 1 - beside) - 1
            for before, beside in (((1, 0), (0, 1)) if masked else ((0, 0),))
        )
        assert level >= squares_apart


def test_a_mask_leaves_nothing_of_what_it_hides():
    """Exponentials of hidden keys, and factors of queries that are none, may be anything."""
    y, f, seen = np.array([0.5, 30.0, 0.5, 2.0]), np.array([1.5, 0.1, 900.0, 0.25]), np.array([1, 0, 0, 1])
    for levels in ((5, 8), (8, 5)):
        backend = ClearBackend(MODULI, 4)
        a, b = (backend.encode(x, level, SCALE) for x, level in zip((y, f), levels, strict=True))
        made = normalise_and_square(backend, a, b, SlotVector(seen.astype(float)), SCALE)
        np.testing.assert_allclose(made.slots, (seen * y * f) ** 2, atol=1e-9)
        assert (made.slots[seen == 0] == 0).all()


@pytest.mark.parametrize("rounds", [0, 1, 2])
@pytest.mark.parametrize("shape", [DECODER, ENCODER])
def test_the_search_of_levels_is_exact(shape: LayerShape, rounds: int):
    """Without bootstraps a layer ends at level 0: as many levels as it takes, and none to spare."""
    layer = draw_layer(shape, 16, rounds=rounds)
    program = compiled(layer, 16, 10, most_scores=None, rounds=(31, 1))
    backend = SymbolicBackend(program.params.q, program.params.slots)
    columns = range(program.placement.columns)
    inputs = {f"x.{a}[0]": Symbol(program.input_level, program.params.scale) for a in columns}
    results = program.run(backend, inputs, 16)
    assert {x.level for x in results.values()} == {0}


@pytest.mark.parametrize("most_scores", [None, 0])
def test_refreshed(most_scores):
    """With bootstraps: the denominators of the round and of the last division are refreshed aside."""
    layer, plan = draw_layer(DECODER, 24, rounds=1), refreshing.insecure(10, levels_left=14)
    program = compile_layer(
        DECODER,
        layer.weights,
        layer.ranges,
        tokens=24,
        bootstrap=plan,
        degrees=dataclasses.replace(PRECISE, exponential=15, activation=31, rounds=((31, 0),)),
        most_scores=most_scores,
    )
    fresh = [name for n in program.graph.nodes if isinstance(n.operator, Refresh) for name in n.inputs]
    assert {"round0.denominator0[0]", "denominator0[0]"} <= set(fresh)
    np.testing.assert_allclose(program.run_clear(layer.hidden), layer.result, atol=2e-3)


@functools.cache
def counted(rounds: int, most_scores: int | None) -> LayerCounts:
    """SmolLM2 at 128 tokens: C = 64 columns, 16 scores by b = 4 and g = 4, masked."""
    ranges = LayerRanges(rounds=(Interval(0.05, 20.0),) * rounds)
    degrees = Degrees(squarings=1, reciprocal=63, activation=31, rounds=((31, 0),) * rounds)
    return count_layer(
        SMOLLM2_135M,
        refreshing.n16(),
        tokens=128,
        ranges=ranges,
        degrees=degrees,
        most_scores=most_scores,
    )


C, SCORES, TURNS = 64, 16, 3
# A score: C products, 9 of exp and its squaring; as many key switches less what is relinearised together.
EXP_PRODUCTS, EXP_SWITCHES = 9, 8
# Passes that make scores, passes that take them up, rounds done in all passes, masks, the layer's bootstraps.
WORK = [
    (0, None, 1, 0, 0, 1, 7),
    (1, None, 1, 1, 1, 2, 9),
    (1, 0, 2, 0, 1, 2, 9),
    (2, None, 1, 2, 2, 2, 40),
    (2, 0, 3, 0, 3, 3, 40),
]


@pytest.mark.parametrize(
    ("rounds", "most_scores", "making", "taking", "squared", "masks", "bootstraps"), WORK
)
def test_counts(rounds, most_scores, making, taking, squared, masks, bootstraps):
    """Exact operations of attention, all passes together."""
    counts = counted(rounds, most_scores)
    stages = [counts.stages[name] for name in ("attend", "normalise") if name in counts.stages]
    total = {
        name: sum(stage.total(name) for stage in stages)
        for name in (
            "rotation",
            "accumulated rotation",
            "product",
            "key switch",
            "plain product",
            "bootstrap",
        )
    }
    passes = making + taking
    # Babies and turns of K and Q in a pass that makes scores, of V and O once, of D in every pass, and of
    # each factor wherever it is used.
    assert total["rotation"] == 2 * C * TURNS * making + 2 * C * TURNS + TURNS * (passes + squared)
    assert total["accumulated rotation"] == 0
    exp = SCORES * making
    assert total["product"] == exp * (C + EXP_PRODUCTS) + SCORES * 2 * squared + SCORES * C
    assert total["key switch"] == exp * (1 + EXP_SWITCHES) + SCORES * 2 * squared + C * (TURNS + 1)
    assert total["plain product"] == SCORES * masks
    assert total["bootstrap"] == 0  # no score is ever refreshed
    assert counts.bootstraps == bootstraps
    assert counts.refreshes.refreshed >= {f"round{k}.denominator" for k in range(rounds)}


@pytest.mark.parametrize(("most_scores", "resident"), [(None, True), (32, True), (31, False), (0, False)])
def test_scores_stay_where_there_is_room(most_scores, resident):
    """Between two rounds a pass holds what it reads and what it makes: 2 x 16 scores."""
    stages = counted(2, most_scores).stages
    rotations = stages["normalise"].total("rotation")
    first, turned = 2 * C * TURNS + TURNS, 2 * TURNS
    assert rotations == (first + turned if resident else 2 * first + TURNS)


def test_degrees_of_other_rounds_are_refused():
    layer = draw_layer(DECODER, 16, rounds=1)
    with pytest.raises(RangeError, match="1 rounds of normalise-and-square, the degrees 0"):
        compile_unrefreshed(
            DECODER,
            layer.weights,
            layer.ranges,
            slots=512,
            tokens=16,
            parameters=lambda levels: presets.insecure(log_degree=10, levels=levels, digit_size=10),
            degrees=PRECISE,
        )
