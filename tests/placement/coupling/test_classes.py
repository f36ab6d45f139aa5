"""Coherence classes of whole layers: what crosses between token blocks is what attention exchanges."""

from __future__ import annotations

from aegis_fhe.placement.coupling.classes import Coherence, coherence
from aegis_fhe.placement.coupling.operators import Couplings
from aegis_fhe.program.operators import Refresh

from .programs import Program, program_of


def of(name: str) -> tuple[Program, Coherence]:
    program = program_of(name)
    couplings = Couplings(program.params, program.context)
    return program, coherence(program.graph, couplings, program.symbols)


def exchanged(program: Program, found: Coherence) -> set[tuple[str, tuple[int, int]]]:
    """What crosses but for bootstraps of two blocks' values."""
    pairs = {n.name for n in program.graph.nodes if isinstance(n.operator, Refresh)}
    return {(c.value, c.token_blocks) for c in found.crossings if c.node not in pairs}


def test_an_encoder_exchanges_keys_and_values_alone():
    """Every column of K and V of both blocks, both ways."""
    program, found = of("encoder")
    names = [f"{role}.placed.{c}" for role in "kv" for c in range(8)]  # of each head
    expected = {(f"{name}[{p}]", (p, 1 - p)) for p in range(2) for name in names}
    assert exchanged(program, found) == expected
    results = program.graph.results
    assert [found.token_block[value] for value in results] == [0, 0, 1, 1]


def test_dividing_a_graph_changes_no_class():
    whole, (program, divided) = of("encoder")[1], of("encoder by queries")
    assert {value: divided.token_block[value] for value in whole.token_block} == dict(whole.token_block)
    turned = {value.partition(".o0.0")[0] for value, _ in exchanged(program, divided)}
    assert turned == {value for value, _ in exchanged(*of("encoder"))}


def test_a_causal_mask_lets_keys_cross_one_way():
    program, found = of("decoder")
    assert {blocks for _, blocks in exchanged(program, found)} == {(0, 1)}
    assert {value.partition(".")[0] for value, _ in exchanged(program, found)} == {"k", "v"}


def test_classes_share_out_all_values():
    program, found = of("decoder")
    first, second = found.token_class(0), found.token_class(1)
    assert not first & second
    assert first | second == {value for node in program.graph.nodes for value in node.outputs}


def test_a_bootstrap_of_two_token_blocks_crosses():
    """Statistics are one ciphertext for each block: a pair of them is of two blocks."""
    program, found = of("encoder")
    pairs = [n for n in program.graph.nodes if isinstance(n.operator, Refresh)]
    mixed = {n.name for n in pairs if len({found.token_block[x] for x in n.inputs}) > 1}
    assert {name.partition(".fresh")[0] for name in mixed} == {"denominator0", "first.variance"}
    assert mixed == {c.node for c in found.crossings if c.node in {n.name for n in pairs}}


def test_limbs_belong_together_wherever_something_switches_or_rescales():
    """All values but those that are only added, or are results."""
    program, found = of("decoder")
    free = {value for node in program.graph.nodes for value in node.outputs} - found.whole
    readers = {n.stage for n in program.graph.nodes if free & set(n.inputs)}
    adding = {type(n.operator).__name__ for n in program.graph.nodes if free & set(n.inputs)}
    assert adding <= {"Each", "Add", "AddFeatures", "AddHeads"}
    assert readers
    assert set(program.graph.results) <= free
