"""Exact operation counts: pinned, derived from formulas, and confirmed by what an encrypted run executed."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import pytest
import torch

from aegis_fhe.program import AttentionRanges, CompiledProgram, Interval, TokenMajorLayout, compile_attention
from aegis_fhe.program.operators import Attend, ComplexParts, Multiply, Polynomial, Project, Scores, Shear

from .tiny import TinyAttention, tiny_program

# Most key switches and sums of rotations are rescaled in the same division; those rescales are not counted.
TINY_COUNTS = {
    "accumulated rotation": 89,
    "add": 135,
    "key switch": 106,
    "mod down": 81,
    "mod up": 187,
    "plain add": 20,
    "plain product": 388,
    "product": 154,
    "rescale": 60,
    "rotation": 102,
    "scalar term": 355,
}
# all-MiniLM-L6-v2, 64 tokens, N = 2^16.
MINILM_COUNTS = {
    "accumulated rotation": 153,
    "add": 241,
    "key switch": 106,
    "mod down": 97,
    "mod up": 339,
    "plain add": 20,
    "plain product": 3588,
    "product": 298,
    "rescale": 156,
    "rotation": 506,
    "scalar term": 355,
}


@pytest.fixture(scope="module")
def minilm() -> CompiledProgram:
    """The shape of all-MiniLM-L6-v2 with random weights, at 128 bits. Compiled, never run."""
    ranges = AttentionRanges(
        key_offset=((0.0,) * 32,) * 12,
        shift=(0.0,) * 12,
        anchor=(1.0,) + (0.0,) * 11,
        score=Interval(-30.0, 5.0),
        denominator=Interval(0.01, 1.0),
        variance=Interval(0.1, 3.0),
        origin="nothing: the values do not matter here",
    )
    return compile_attention(TinyAttention(384, 12).eval(), torch.zeros(1, 64, 384), ranges)


def test_totals_of_the_tiny_sub_layer(tiny):
    assert tiny.program.counts().totals() == TINY_COUNTS


def test_totals_of_minilm(minilm):
    assert minilm.counts().totals() == MINILM_COUNTS
    assert minilm.params.max_level == 29
    assert minilm.params.security_bits >= 128
    assert len(minilm.key_requests()) == 35
    layout = minilm.layout
    assert (layout.tokens, layout.sub_slots, layout.zones, minilm.blocks) == (32, 1024, 2, 2)


def summed(indices: int, base: int) -> Counter[str]:
    """Indices added up in strides of `base`: all but the first of a stride move, and all strides but one."""
    strides = indices // base
    moves = indices - strides + strides - 1
    return Counter({"accumulated rotation": moves, "mod up": moves, "mod down": strides + 1})


def shear_counts(layout: TokenMajorLayout) -> Counter[str]:
    """A baby-step giant-step sum over C tokens with B babies, the giants once for each of two zones."""
    c, b = layout.head_dim, layout.ladder_base
    counts = Counter({"rotation": b - 1, "mod up": 1, "plain product": 2 * c})
    return counts + summed(c // b, layout.giant_base) + summed(c // b, layout.giant_base)


def ladder_counts(indices: int, layout: TokenMajorLayout) -> Counter[str]:
    """A rotation for each index but 0; a ModUp for x, for each stride, and for each giant step."""
    giants = indices // layout.ladder_base
    return Counter({"rotation": indices - 1, "mod up": 1 + giants // layout.giant_base + giants})


def scores_counts(layout: TokenMajorLayout) -> Counter[str]:
    """Columns of q; diagonals of k, a chain of C/B with B - 1 beside each; C products."""
    c, b = layout.head_dim, layout.ladder_base
    counts = ladder_counts(c, layout)
    counts += Counter({"rotation": c - 1, "mod up": (c // b - 1) + c // b})
    # The product's rescale comes with its relinearisation.
    return counts + Counter({"product": c, "key switch": 1})


def attend_counts(layout: TokenMajorLayout) -> Counter[str]:
    """2C - 1 columns of p (-C is on the way), tokens of v; for each r a mask, and one more for each zone."""
    c, zones = layout.head_dim, layout.zones
    counts = ladder_counts(2 * c, layout) + ladder_counts(c, layout)
    counts += Counter({"plain product": (2 * c - 1) * (1 + zones), "product": 2 * c - 1})
    # The denominators rescale; the product's rescale comes with its relinearisation.
    return counts + Counter({"rescale": 2 * c - 1 + zones, "key switch": 1})


def project_counts(layout: TokenMajorLayout) -> Counter[str]:
    """Dense d x d matrices: 2d - 1 diagonals, giant - 1 baby rotations, 2d/giant giants.

    Their number of zones, and whether they are complex, costs nothing.
    """
    d, columns = layout.width, layout.ladder_base
    few, _ = layout.feature_ladder.bases
    counts = Counter({"rotation": layout.giant - 1, "mod up": 1 + columns + columns * few})
    return counts + Counter({"plain product": 2 * d - 1}) + summed(2 * d // layout.giant, layout.giant_base)


def per_node(program: CompiledProgram, kind: type) -> list[Counter[str]]:
    counts = program.node_counts()
    found = [counts[node.name] for node in program.graph.nodes if isinstance(node.operator, kind)]
    return [Counter({k: v for k, v in c.totals().items() if k != "add"}) for c in found]


@pytest.mark.parametrize("which", ["tiny", "minilm", "two groups"])
@pytest.mark.parametrize(
    ("kind", "formula"), [(Shear, shear_counts), (Scores, scores_counts), (Attend, attend_counts)]
)
def test_formulas_of_attention_operators(which, kind, formula, request):
    program = program_named(which, request)
    nodes = per_node(program, kind)
    groups = math.ceil(program.blocks / program.layout.zones)
    assert len(nodes) == program.blocks * (1 if kind is Shear else groups)
    assert all(found == formula(program.layout) for found in nodes)


@pytest.mark.parametrize("which", ["tiny", "minilm", "two groups"])
def test_formulas_of_projections(which, request):
    program = program_named(which, request)
    nodes = per_node(program, Project)
    assert len(nodes) == 2 * program.blocks
    assert all(found == project_counts(program.layout) for found in nodes)


def program_named(which: str, request: pytest.FixtureRequest) -> CompiledProgram:
    if which == "minilm":
        return request.getfixturevalue("minilm")
    return tiny_program()[2] if which == "tiny" else tiny_program(32, 10)[2]


def test_relinearisations_are_products_and_polynomials(minilm):
    """Every Multiply, Scores, Attend and ComplexParts one, polynomials as pinned in the tests of circuits."""
    counts = minilm.node_counts()
    switches = Counter()
    for node in minilm.graph.nodes:
        switches[type(node.operator)] += counts[node.name].total("key switch")
    multiplications = sum(isinstance(node.operator, Multiply) for node in minilm.graph.nodes)
    assert switches[Multiply] == multiplications
    assert switches[Scores] == switches[Attend] == minilm.blocks
    assert switches[ComplexParts] == 2 * minilm.blocks
    # exp of degree 31, 1/x of degree 63, 1/sqrt(x) of degree 31.
    assert switches[Polynomial] == minilm.blocks * (12 + 15 + 12)
    assert sum(switches.values()) == MINILM_COUNTS["key switch"]


def test_node_counts_add_up(tiny):
    counts = tiny.program.node_counts()
    assert set(counts) == {node.name for node in tiny.program.graph.nodes}
    total = sum((Counter(c.by_level) for c in counts.values()), Counter())
    assert total == tiny.program.counts().by_level


def test_counts_do_not_depend_on_the_text(encrypted):
    """What an encrypted run on 13 tokens executed is what was predicted, node by node and level by level."""
    predicted = encrypted.program.node_counts()
    assert set(encrypted.executed) == set(predicted)
    for name, executed in encrypted.executed.items():
        expected: Counter[tuple[str, int]] = Counter()
        for (operation, level), times in predicted[name].by_level.items():
            for primitive in PRIMITIVES.get(operation, ()):
                expected[primitive, level] += times
        assert executed == expected, name


PRIMITIVES = {
    "mod up": ["decompose"],
    "rotation": ["inner_product", "mod_down"],
    "accumulated rotation": ["inner_product"],
    "mod down": ["mod_down"],
    "key switch": ["decompose", "inner_product", "mod_down"],
    "product": ["product"],
    "rescale": ["rescale"],
}


def test_a_matrix_with_few_diagonals_costs_less(tiny):
    """Counts follow the weights: zero diagonals are not multiplied."""
    constants = dict(tiny.program.constants)
    constants["output.weight"] = torch.eye(32, dtype=torch.float64).numpy()
    sparse = dataclasses.replace(tiny.program, constants=constants)
    saved = tiny.program.counts().total("plain product") - sparse.counts().total("plain product")
    assert saved == tiny.program.blocks * (2 * 32 - 2)
