"""Compiled programs: as good as PyTorch for every length, faithful through metadata, strict on bad input."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from aegis_fhe.ckks import presets
from aegis_fhe.errors import (
    AegisError,
    CompatibilityError,
    ContainerError,
    LayoutError,
    RangeError,
    SecurityError,
    UnsupportedModuleError,
)
from aegis_fhe.program import Approximations, CompiledProgram, Interval, compile_attention
from aegis_fhe.program.capture import capture_attention
from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.interpret import run_graph

from .tiny import TinyAttention, hidden_states, reference, tiny_program, wide_ranges


def insecure(levels):
    return presets.insecure(log_degree=11, levels=levels, digit_size=10)


def with_fields(struct, **changes):
    """As `dataclasses.replace`, for structs."""
    return type(struct)(**{**{name: getattr(struct, name) for name in struct.__struct_fields__}, **changes})


@pytest.mark.parametrize("tokens", range(1, 17))
def test_clear_program_equals_pytorch_for_every_length(tiny, tokens):
    """Padding of the last block, and a whole empty block, change nothing."""
    hidden = tiny.hidden[:tokens]
    error = np.abs(tiny.program.run_clear(hidden).hidden - reference(tiny.module, hidden)).max()
    assert error < 5e-6


@pytest.mark.parametrize(
    ("log_degree", "tokens", "anchor"), [(10, 32, 0.5), (11, 24, 0.0), (12, 8, 0.5), (10, 8, 0.0)]
)
def test_other_sizes(log_degree, tokens, anchor):
    """Two key groups, one of them not full, one block; with and without an anchored head."""
    module, hidden, program = tiny_program(tokens, log_degree, anchor)
    assert program.blocks == tokens // 8
    assert program.layout.zones == min(program.blocks, 2)
    for length in (1, tokens - 7, tokens):
        rows = hidden[:length]
        assert np.abs(program.run_clear(rows).hidden - reference(module, rows)).max() < 5e-6
    assert any(node.name.startswith("anchor") for node in program.graph.nodes) == bool(anchor)


def test_coarser_fits_take_fewer_levels_and_cost_accuracy(tiny):
    ranges = wide_ranges(tiny.module, tiny.hidden)
    coarse = Approximations(
        exponential_degree=15, exponential_squarings=2, reciprocal_degree=15, inverse_sqrt_degree=7
    )
    program = compile_attention(
        tiny.module, torch.zeros(1, 16, 32), ranges, parameters=insecure, approximations=coarse
    )
    assert program.params.max_level == tiny.program.params.max_level - 1 - 2 - 2
    error = np.abs(program.run_clear(tiny.hidden).hidden - reference(tiny.module, tiny.hidden)).max()
    assert 1e-6 < error < 2e-2


def test_a_narrow_score_range_never_makes_short_texts_wrong(tiny):
    """A padding key adds exp(low - high) to a denominator: refused or masked, but not silently added."""
    ranges = wide_ranges(tiny.module, tiny.hidden)
    narrow = with_fields(ranges, score=Interval(ranges.score.low + 14.7, ranges.score.high))
    try:
        program = compile_attention(tiny.module, torch.zeros(1, 16, 32), narrow, parameters=insecure)
    except RangeError:
        return
    rows = tiny.hidden[:5]
    assert np.abs(program.run_clear(rows).hidden - reference(tiny.module, rows)).max() < 1e-3


def test_texts_that_do_not_fit_are_refused(tiny):
    for tokens in (0, 17):
        with pytest.raises(RangeError, match=rf"has {tokens} tokens, .* for 1 to 16"):
            tiny.program.run_clear(np.zeros((tokens, 32)))
    with pytest.raises(LayoutError, match="32 features"):
        tiny.program.run_clear(np.zeros((4, 31)))


def test_impossible_compilations_are_refused(tiny):
    ranges = wide_ranges(tiny.module, tiny.hidden)
    with pytest.raises(UnsupportedModuleError, match="ranges of 4 heads do not fit 2 heads"):
        compile_attention(TinyAttention(heads=2), torch.zeros(1, 16, 32), ranges, parameters=insecure)
    with pytest.raises(SecurityError):
        compile_attention(tiny.module, torch.zeros(1, 16, 32), ranges, parameters=presets.n14)
    with pytest.raises(LayoutError, match="larger ring degree"):
        compile_attention(
            tiny.module,
            torch.zeros(1, 16, 32),
            ranges,
            parameters=lambda levels: presets.insecure(log_degree=9, levels=levels, digit_size=10),
        )


def through_json(program: CompiledProgram) -> CompiledProgram:
    facts = json.loads(json.dumps(program.metadata()))
    return CompiledProgram.from_metadata(facts, program.constants)


def test_metadata_round_trip(tiny):
    again = through_json(tiny.program)
    assert again.fingerprint == tiny.program.fingerprint
    assert again.graph == tiny.program.graph
    assert again.ranges == tiny.program.ranges
    assert again.params.fingerprint() == tiny.program.params.fingerprint()
    assert again.counts().by_level == tiny.program.counts().by_level
    np.testing.assert_array_equal(
        again.run_clear(tiny.hidden).hidden, tiny.program.run_clear(tiny.hidden).hidden
    )


def test_compiling_twice_gives_the_same_program(tiny):
    module = TinyAttention()
    program = compile_attention(
        module, torch.zeros(1, 16, 32), wide_ranges(module, hidden_states(16)), parameters=insecure
    )
    assert program.fingerprint == tiny.program.fingerprint


def changed(program: CompiledProgram, what: str) -> CompiledProgram:
    if what == "a weight by one bit":
        constants = dict(program.constants)
        constants["key.weight"] = constants["key.weight"].copy()
        constants["key.weight"][3, 5] = np.nextafter(constants["key.weight"][3, 5], 1)
        return dataclasses.replace(program, constants=constants)
    if what == "ranges":
        return dataclasses.replace(program, ranges=with_fields(program.ranges, origin="elsewhere"))
    if what == "parameters":
        levels = program.params.max_level + 1
        return dataclasses.replace(program, params=insecure(levels))
    if what == "origin":
        return dataclasses.replace(program, origin="another module")
    assert what == "a node"
    node = program.graph.nodes[-1]
    other = with_fields(node, stage="elsewhere")
    graph = dataclasses.replace(program.graph, nodes=(*program.graph.nodes[:-1], other))
    return dataclasses.replace(program, graph=graph)


@pytest.mark.parametrize("what", ["a weight by one bit", "ranges", "parameters", "origin", "a node"])
def test_fingerprint_sees_every_change(tiny, what):
    assert changed(tiny.program, what).fingerprint != tiny.program.fingerprint


@pytest.mark.parametrize("field", ["parameters", "layout", "blocks", "nodes", "results", "ranges", "origin"])
def test_missing_or_malformed_metadata_is_refused(tiny, field):
    facts = json.loads(json.dumps(tiny.program.metadata()))
    with pytest.raises(ContainerError, match="incomplete or malformed"):
        CompiledProgram.from_metadata({k: v for k, v in facts.items() if k != field}, tiny.program.constants)
    if field != "origin":
        with pytest.raises(AegisError):
            CompiledProgram.from_metadata({**facts, field: {"no": ["such"]}}, tiny.program.constants)


def test_missing_constants_are_named(tiny):
    facts = tiny.program.metadata()
    constants = {k: v for k, v in tiny.program.constants.items() if k not in ("norm.bias", "query.weight")}
    with pytest.raises(CompatibilityError, match=r"norm\.bias, query\.weight"):
        CompiledProgram.from_metadata(facts, constants)
    assert set(tiny.program.constants) == {
        "query.weight",
        "query.bias",
        "key.weight",
        "value.weight",
        "key_value.bias",
        "output.weight",
        "output.bias",
        "anchor",
        "anchor.offset",
        "score.part",
        "score.shift",
        "score.floor",
        "denominator.offset",
        "centre.one",
        "centre.mean",
        "variance.floor",
        "variance.real",
        "norm.weight",
        "norm.bias",
    }


def test_pack_and_unpack_are_inverse(tiny):
    for tokens in (1, 8, 9, 16):
        hidden = tiny.hidden[:tokens]
        np.testing.assert_array_equal(tiny.program.unpack(tiny.program.pack(hidden), tokens), hidden)


def test_scores_are_those_of_the_calibration(tiny):
    """s' of `AttentionRanges`, with anchor and offsets: softmax itself would not show what a query adds."""
    ranges, layout, tokens = tiny.program.ranges, tiny.program.layout, 16
    backend = ClearBackend(tiny.program.params.q, layout.slots)
    inputs = {
        name: backend.encode(values, tiny.program.input_level, tiny.program.params.scale)
        for name, values in zip(tiny.program.input_names(), tiny.program.pack(tiny.hidden), strict=True)
    }
    found = {}

    def observe(node, values):
        if node.name.startswith("u.group0"):
            found[node.block] = values[0].slots.real.reshape(layout.tokens, -1)[:, : 2 * layout.width]

    run_graph(tiny.program.graph, backend, inputs, tiny.program.context(tokens), observe=observe)
    layer = capture_attention(tiny.module, torch.zeros(1, tokens, layout.width))
    q, k = (
        (tiny.hidden @ linear.weight.T + linear.bias).reshape(tokens, layout.heads, -1)
        for linear in (layer.query, layer.key)
    )
    offset, anchor, shift = (np.array(x) for x in (ranges.key_offset, ranges.anchor, ranges.shift))
    raw = np.einsum("ihc,jhc->hij", q, k) * layer.score_scale
    previous = np.stack([raw[:, i, max(i - 1, 0)] for i in range(tokens)], axis=1)
    lost = np.einsum("ihc,hc->hi", q, offset) * layer.score_scale + anchor[:, None] * previous
    expected = raw - (lost + shift[:, None])[:, :, None]
    u = np.stack([found[p] for p in range(2)]).reshape(2, 8, 2, 8, layout.heads)  # block, t, zone, x, head
    exp = next(node.operator for node in tiny.program.graph.nodes if node.name.startswith("exp.group0"))
    middle, half = (exp.high + exp.low) / 2, (exp.high - exp.low) / 2
    for p, t, zone, x in np.ndindex(u.shape[:-1]):
        scores = expected[:, 8 * p + t, 8 * zone + (t + x) % 8]
        np.testing.assert_allclose(middle + half * u[p, t, zone, x], scores, atol=1e-9)
