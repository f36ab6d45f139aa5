"""Graphs whose nodes are parts: what they compute, and what they cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aegis_fhe.bench.drawn_layer import draw_layer
from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.graph import Graph
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.compile import LongProgram, compile_layer
from aegis_fhe.program.long.divide import Division, NodeDivisions, divide, part_of
from aegis_fhe.program.long.divide.division import in_turns
from aegis_fhe.program.long.even_ranges import even_ranges
from aegis_fhe.program.long.matrix_product import ColumnBabies, MatrixProduct
from aegis_fhe.program.long.product_terms import ProductTerms
from aegis_fhe.program.long.score_chunks import ScoreChunk
from aegis_fhe.program.long.shape import Degrees, LayerShape
from aegis_fhe.program.long.slotwise import AddFeatures
from aegis_fhe.program.long.weighted_sums import WeightedSums

from .layers import DECODER, ENCODER, UNEVEN

DEGREES = Degrees(exponential=15, squarings=2, reciprocal=63, newton_steps=2, inverse_sqrt=31, activation=31)
ROWS = frozenset({"output", "contract"})
NARROW = LayerShape.encoder(features=16, heads=4, hidden=24)


def compiled(shape: LayerShape, tokens: int = 24) -> tuple[LongProgram, np.ndarray]:
    layer = draw_layer(shape, tokens)
    plan = presets.insecure(9, levels_left=14)
    program = compile_layer(
        shape, layer.weights, layer.ranges, tokens=tokens, bootstrap=plan, degrees=DEGREES
    )
    return program, layer.hidden


def counted(program: LongProgram, graph: Graph) -> OperationCounts:
    fresh = dict.fromkeys(program.input_names(), Symbol(program.input_level, program.params.scale))
    backend = SymbolicBackend(program.params.q, program.params.slots)
    replace(program, graph=graph).run(backend, fresh, program.max_tokens)
    return backend.counts


@pytest.mark.parametrize("shape", [ENCODER, DECODER, UNEVEN])
@pytest.mark.parametrize("parts", [2, 3, 5])
@pytest.mark.parametrize("rows", [frozenset(), ROWS], ids=["columns", "rows"])
def test_a_divided_layer_computes_the_same(shape: LayerShape, parts: int, rows: frozenset[str]):
    program, hidden = compiled(shape)
    divided = program.divided(Division(parts=parts, rows=rows))
    assert len(divided.graph.nodes) > len(program.graph.nodes)
    assert divided.graph.results == program.graph.results
    np.testing.assert_allclose(divided.run_clear(hidden), program.run_clear(hidden), atol=1e-9)


def test_biases_at_encrypted_tokens_are_divided():
    """As GPT-2's: a LayerNorm before the sum, biases that leave public tokens and padding at zero."""
    program, hidden = compiled(replace(ENCODER, pre_norm=True, causal=True), tokens=13)
    program = replace(program, public_tokens=2)
    divided = program.divided(Division(parts=2, rows=ROWS))
    parts = [n.operator for n in divided.graph.nodes if isinstance(n.operator, AddFeatures) and part_of(n)]
    assert {operator.bias for operator in parts} == {"output.bias", "up.bias", "down.bias"}
    assert all(operator.layout == program.layout for operator in parts)
    inputs = program.pack(hidden)
    backend = ClearBackend(program.params.q, program.params.slots)
    found = []
    for one in (program, divided):
        fresh = {name: backend.encode(x, one.input_level, one.params.scale) for name, x in inputs.items()}
        found.append(one.run(backend, fresh, len(hidden)))
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name].slots, value.slots, atol=1e-9)


def test_one_part_is_the_graph_itself():
    program, _ = compiled(ENCODER)
    assert divide(program.graph, Division(parts=1)) == program.graph


def test_parts_cover_columns_once():
    """Every value is made once, by a part of its node; the parts of one node have different numbers."""
    program, _ = compiled(ENCODER)
    graph = divide(program.graph, Division(parts=3))
    made = [value for node in graph.nodes for value in node.outputs]
    assert len(made) == len(set(made))
    assert {v for node in program.graph.nodes for v in node.outputs} <= set(made)
    expand = [node for node in graph.nodes if node.name.startswith("expanded.0[0]~")]
    assert [part_of(node) for node in expand] == list(range(len(expand)))
    assert len(expand) > 1
    operators = [node.operator for node in expand if isinstance(node.operator, MatrixProduct)]
    assert sum(operator.columns_out for operator in operators) == sum(len(node.outputs) for node in expand)
    whole = next(node for node in program.graph.nodes if node.name == "expanded.0[0]")
    assert isinstance(whole.operator, MatrixProduct)
    assert sum(operator.plaintexts() for operator in operators) == whole.operator.plaintexts()


@pytest.mark.parametrize("shape", [ENCODER, DECODER, UNEVEN])
@pytest.mark.parametrize(
    "division",
    [
        Division(queries=True),
        Division(giants=2),
        Division(queries=True, giants=3, babies=True, parts=2),
        Division(babies=True, parts=3),
    ],
    ids=str,
)
def test_attention_in_parts_computes_the_same(shape: LayerShape, division: Division):
    """Two token blocks; by queries, by giant steps, with K and V turned apart."""
    program, hidden = compiled(shape, tokens=24)
    assert program.layout.blocks == 2
    divided = program.divided(division)
    np.testing.assert_allclose(divided.run_clear(hidden), program.run_clear(hidden), atol=1e-9)
    parts = [node.operator for node in divided.graph.nodes if isinstance(node.operator, StreamingAttention)]
    assert len(parts) > 1 or division.babies
    assert {p.turned for p in parts} == {division.babies}


@pytest.mark.parametrize("shape", [ENCODER, DECODER, UNEVEN])
@pytest.mark.parametrize("tokens", [31, 24, 14])
@pytest.mark.parametrize(
    "division",
    [
        Division(chunks=1),
        Division(chunks=2, giants=2, parts=2),
        Division(chunks=3, giants=3, queries=True, parts=3),
    ],
    ids=str,
)
def test_attention_in_chunks_computes_the_same(shape: LayerShape, tokens: int, division: Division):
    """Also of texts that fill one block alone, or end in the middle: some sums then see no key."""
    program, hidden = compiled(shape, tokens=31)
    hidden = hidden[:tokens]
    divided = replace(program, graph=divide(program.graph, division))
    np.testing.assert_allclose(divided.run_clear(hidden), program.run_clear(hidden), atol=1e-9)
    operators = [node.operator for node in divided.graph.nodes]
    assert sum(isinstance(operator, ScoreChunk) for operator in operators) > 1 or division.chunks == 1
    assert not any(isinstance(operator, StreamingAttention) for operator in operators)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("tokens", [60, 33])
@pytest.mark.parametrize("division", [Division(chunks=3), Division(chunks=16, giants=2, parts=2)], ids=str)
def test_scores_in_windows_compute_the_same(causal: bool, tokens: int, division: Division):
    """Of heads so narrow that scores take more than sums: few are held, sums are kept between windows."""
    program, hidden = compiled(replace(NARROW, causal=causal), tokens=60)
    divided = replace(program, graph=divide(program.graph, division))
    operators = [node.operator for node in divided.graph.nodes]
    sums = [operator for operator in operators if isinstance(operator, WeightedSums)]
    windows = sorted({(operator.first, operator.last) for operator in sums})
    assert len(windows) > 1
    assert [first for first, _ in windows[1:]] == [last for _, last in windows[:-1]]
    text = hidden[:tokens]
    np.testing.assert_allclose(divided.run_clear(text), program.run_clear(text), atol=1e-9)


def test_a_chunk_of_keys_makes_the_scores_of_its_pairs_alone():
    """Every score once, by the chunk of its key's block and baby step; a column's sums read all of them."""
    program, _ = compiled(ENCODER, tokens=24)
    nodes = divide(program.graph, Division(chunks=2, giants=2, parts=2)).nodes
    made = [x for node in nodes if isinstance(node.operator, ScoreChunk) for x in node.outputs]
    attention = next(node for node in program.graph.nodes if isinstance(node.operator, StreamingAttention))
    assert isinstance(attention.operator, StreamingAttention)
    assert len(made) == len(set(made)) == len(attention.operator.scores.places())
    sums = [node for node in nodes if isinstance(node.operator, WeightedSums)]
    for columns in {node.operator.columns for node in sums if isinstance(node.operator, WeightedSums)}:
        own = [n for n in sums if isinstance(n.operator, WeightedSums) and n.operator.columns == columns]
        read = [x for node in own for x in node.inputs if x in made]
        assert sorted(read) == sorted(made)


def test_chunks_take_the_key_switches_of_the_whole():
    """But for Q and O: turned by single steps from one giant step to the next, or each from the start."""
    program, _ = compiled(ENCODER)
    whole, chunks = (counted(program, divide(program.graph, Division(chunks=n))) for n in (0, 2))
    for name in ("product", "key switch", "bootstrap", "plain product"):
        assert chunks.total(name) == whole.total(name), name
    turned = [c.total("rotation") + c.total("accumulated rotation") for c in (whole, chunks)]
    assert turned[0] == turned[1]


@pytest.mark.parametrize("shape", [ENCODER, DECODER, UNEVEN])
def test_products_with_shared_babies_compute_the_same(shape: LayerShape):
    """And turn their inputs as often as the whole product does, whatever the number of parts."""
    program, hidden = compiled(shape)
    stages = frozenset({"qkv", "output", "expand", "contract"})
    divided = replace(program, graph=divide(program.graph, Division(parts=3, shared=stages)))
    np.testing.assert_allclose(divided.run_clear(hidden), program.run_clear(hidden), atol=1e-9)
    products = [node for node in divided.graph.nodes if isinstance(node.operator, MatrixProduct)]
    assert all(node.operator.turned for node in products if isinstance(node.operator, MatrixProduct))
    whole = [node.operator for node in program.graph.nodes if isinstance(node.operator, MatrixProduct)]
    babies = [node for node in divided.graph.nodes if isinstance(node.operator, ColumnBabies)]
    made = sum(len(node.outputs) for node in babies)
    assert made == sum(len(operator.columns_in) * operator.baby for operator in whole)


@pytest.mark.parametrize("shape", [ENCODER, DECODER, UNEVEN])
@pytest.mark.parametrize("parts", [2, 3])
def test_own_terms_first_compute_the_same(shape: LayerShape, parts: int):
    """Of a third of the first token block's results, where each part has a column: only sums are added."""
    program, hidden = compiled(shape)
    stages = frozenset({"qkv", "output", "expand", "contract"})
    shared = Division(parts=parts, shared=stages, paired=True)
    divided = [divide(program.graph, one) for one in (shared, replace(shared, own_first=True))]
    first = replace(program, graph=divided[1])
    np.testing.assert_allclose(first.run_clear(hidden), program.run_clear(hidden), atol=1e-9)
    terms = [node for node in divided[1].nodes if isinstance(node.operator, ProductTerms)]
    assert {node.block for node in terms} == {0}
    products = [node for node in program.graph.nodes if isinstance(node.operator, MatrixProduct)]
    assert {node.stage for node in terms} == {n.stage for n in products if len(n.inputs) >= parts} != set()
    plain, own = (counted(program, graph) for graph in divided)
    for name in ("plain product", "rotation", "accumulated rotation", "key switch"):
        assert own.total(name) == plain.total(name), name
    assert own.total("add") > plain.total("add")


def test_own_terms_read_no_babies_of_others():
    program, _ = compiled(ENCODER)
    division = Division(parts=2, shared=frozenset({"expand"}), own_first=True)
    nodes = divide(program.graph, division).nodes
    maker = {x: part_of(node) for node in nodes for x in node.outputs}
    own = [node for node in nodes if isinstance(node.operator, ProductTerms) and not node.operator.before]
    assert {part_of(node) for node in own} == {0, 1}
    for node in own:
        assert {maker[x] for x in node.inputs} == {part_of(node)}


@pytest.mark.parametrize("count", [1, 5, 6, 12])
@pytest.mark.parametrize("groups", [1, 2, 3, 4])
def test_turns_take_one_of_each_group(count: int, groups: int):
    turns, runs = in_turns(count, groups), even_ranges(count, groups)
    assert sorted(n for turn in turns for n in turn.values()) == list(range(count))
    assert [len(turn) for turn in turns[:-1]] == [len(runs)] * (len(turns) - 1)
    for group, number in (pair for turn in turns for pair in turn.items()):
        first, last = runs[group]
        assert first <= number < last


def test_each_node_may_have_its_own_division():
    program, hidden = compiled(ENCODER)
    chosen = {"expand": Division(parts=3), "attend": Division(chunks=2)}
    division = NodeDivisions(
        tuple((n.name, chosen[n.stage]) for n in program.graph.nodes if n.stage in chosen)
    )
    divided = replace(program, graph=divide(program.graph, division))
    whole = {node.operator for node in program.graph.nodes}
    parts = [node for node in divided.graph.nodes if node.operator not in whole]
    assert {node.stage for node in parts} == {"attend", "expand"}
    np.testing.assert_allclose(divided.run_clear(hidden), program.run_clear(hidden), atol=1e-9)


@pytest.mark.parametrize("columns", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_ranges_are_even_and_none_is_empty(columns: int, parts: int):
    ranges = even_ranges(columns, parts)
    sizes = [last - first for first, last in ranges]
    assert sum(sizes) == columns
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
