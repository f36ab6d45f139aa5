"""Whole decoders: all layers in turn are the network's, with no more bootstraps than the layers alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.errors import LevelError, RangeError
from aegis_fhe.program.long.compile import compile_decoder_layer
from aegis_fhe.program.long.compile_decoder import compile_decoder
from aegis_fhe.program.long.decoder_program import DecoderProgram, constants_digest
from aegis_fhe.program.network import Gelu
from aegis_fhe.program.operators import Refresh

from .tiny_decoders import PUBLIC, TOKENS, TinyDecoder, tiny_gpt2, tiny_llama, tiny_wide_llama

KINDS = ["gpt2", "llama", "wide"]


@pytest.fixture(scope="module")
def decoders() -> dict[str, TinyDecoder]:
    models = {"gpt2": tiny_gpt2(), "llama": tiny_llama(), "wide": tiny_wide_llama()}
    return {kind: TinyDecoder.of(model) for kind, model in models.items()}


@pytest.fixture(scope="module")
def programs(decoders: dict[str, TinyDecoder]) -> dict[str, DecoderProgram]:
    return {kind: decoder.compile() for kind, decoder in decoders.items()}


def bootstraps(program: DecoderProgram) -> int:
    return sum(isinstance(node.operator, Refresh) for layer in program.layers for node in layer.graph.nodes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [TOKENS, 11])
def test_all_layers_in_clear(decoders, programs, kind: str, tokens: int):
    """Within 2e-3 of the result's root mean square, bootstraps in clear; shorter texts as well."""
    decoder = decoders[kind]
    for ids in decoder.texts[40:]:
        exact = decoder.exact(ids[:tokens])
        found = programs[kind].run_clear(decoder.embed(ids[:tokens])).hidden
        assert found.shape == exact.shape
        np.testing.assert_array_equal(found[:PUBLIC], 0.0)
        rms = np.sqrt((exact[PUBLIC:] ** 2).mean())
        assert np.abs(found - exact)[PUBLIC:].max() < 2e-3 * rms


@pytest.mark.parametrize("kind", KINDS)
def test_simulated_noise_is_noise(decoders, programs, kind: str):
    hidden = decoders[kind].embed(decoders[kind].texts[40])
    clear = programs[kind].run_clear(hidden).hidden
    simulated = [programs[kind].run_simulated(hidden, seed=seed).hidden for seed in (1, 1, 2)]
    np.testing.assert_array_equal(simulated[0], simulated[1])
    rms = np.sqrt((clear[PUBLIC:] ** 2).mean())
    assert 1e-8 < np.abs(simulated[0] - clear).max() / rms < 1e-2
    assert np.abs(simulated[0] - simulated[2]).max() > 0


def test_bounds_are_handed_over_at_refreshes(decoders, programs):
    """A stretch of the stream has one bound; a refresh ends it, at no operation of its own."""
    layers = programs["llama"].layers  # the stream is never refreshed
    assert len({bound for layer in layers for bound in (layer.hidden_bound, layer.result_bound)}) == 1
    decoder, program = decoders["gpt2"], programs["gpt2"]
    bounds, names = decoder.ranges.bounds, [layer.values for layer in decoder.layers]
    assert program.layers[0].hidden_bound == bounds[names[0]["input"]]
    assert program.layers[0].result_bound == program.layers[1].hidden_bound
    factors = [
        node.operator.factor
        for layer in program.layers
        for node in layer.graph.nodes
        if isinstance(node.operator, Refresh)
    ]
    assert set(factors) - {1.0}
    allowed = {bounds[name] for layer in names for name in (layer["input"], layer["middle"], layer["result"])}
    assert {program.layers[1].hidden_bound, program.layers[1].result_bound} <= allowed


def test_the_chain_takes_no_more_bootstraps_than_its_layers(decoders, programs):
    """Pinned; the first layer begins with fresh ciphertexts, and the last may end anywhere."""
    plan, found = presets.insecure(9, levels_left=14), {}
    for kind, decoder in decoders.items():
        alone = 0
        for layer, public in zip(decoder.layers, decoder.public(), strict=True):
            program = compile_decoder_layer(
                layer, decoder.ranges, tokens=TOKENS, bootstrap=plan, public=public
            )
            alone += sum(isinstance(node.operator, Refresh) for node in program.graph.nodes)
        found[kind] = bootstraps(programs[kind]), alone
        assert programs[kind].counts().total("bootstrap") == found[kind][0] <= alone
    assert found == {"gpt2": (8, 10), "llama": (9, 10), "wide": (10, 11)}


@pytest.mark.parametrize(("most_scores", "attend"), [(None, 24), (0, 92)])
def test_a_chain_counts_rounds(decoders, programs, most_scores, attend):
    """The first layer has a pass over scores before its only round; what stays of it is not made again."""
    program = programs["wide"] if most_scores is None else decoders["wide"].compile(most_scores=most_scores)
    first, second = (cost.stages for cost in program.costs)
    assert first["normalise"].total("product") == 68
    assert first["attend"].total("product") == attend
    assert "normalise" not in second
    assert second["attend"].total("product") == 84


@pytest.mark.parametrize("kind", KINDS)
def test_levels_and_keys_are_those_of_a_run(programs, kind: str):
    """What is counted layer by layer, with all numbers one, is what a run on the constants takes."""
    program = programs[kind]
    backend = SymbolicBackend(program.params.q, program.params.slots)
    fresh = Symbol(program.input_level, program.params.scale)
    entered = []
    results = program.run(
        backend,
        dict.fromkeys(program.input_names(), fresh),
        TOKENS,
        observe=lambda index, node, values: entered.append((index, node.name, backend.level(values[0]))),
    )
    assert backend.counts.key_requests() == program.key_requests()
    # The count of a bootstrap joins its two halves again, which a program does not.
    totals, counted = backend.counts.totals(), program.counts().totals()
    assert {**counted, "add": totals["add"]} == totals
    assert results == program.result_symbols()
    levels = {index: level for index, name, level in reversed(entered) if name == "x.0[0]"}
    assert levels == {index: layer.input_level for index, layer in enumerate(program.layers)}
    ends = [min(result.level for result in cost.results) for cost in program.costs]
    assert ends[0] == program.layers[1].input_level


def test_keys_are_the_union(programs):
    requests = programs["llama"].key_requests()
    assert len({request.step for request in requests}) == len(requests)
    level = {request.step: request.level for request in requests}
    for cost in programs["llama"].costs:
        assert all(level[step] >= own for step, own in cost.total.keys.items())


def test_constants_are_addressed_by_their_content(programs):
    program = programs["gpt2"]
    assert program.digests == tuple(constants_digest(program.constants(i)) for i in range(2))
    assert program.digests[0] != program.digests[1]
    changed = dict(program.constants(0))
    changed["up.bias"] = changed["up.bias"] + 2.0**-50
    assert constants_digest(changed) != program.digests[0]
    other = dataclasses.replace(program, digests=program.digests[::-1])
    assert other.fingerprint != program.fingerprint


def test_gelu_is_the_models_own(decoders):
    assert decoders["gpt2"].layers[0].shape.activation == Gelu(tanh=True)
    assert decoders["gpt2"].layers[0].shape.biases


def test_what_does_not_fit_is_refused(decoders, programs):
    decoder = decoders["llama"]
    with pytest.raises(RangeError, match="shorten the text"):
        programs["llama"].run_clear(np.zeros((TOKENS + 1, 16)))
    with pytest.raises(LevelError, match="layer 0: a refreshed value"):
        decoder.compile(bootstrap=presets.insecure(9, levels_left=6))
    foreign = TinyDecoder(
        decoder.model, decoder.captured, decoder.layers, decoders["gpt2"].ranges, decoder.texts
    )
    with pytest.raises(RangeError, match="belong to another network"):
        foreign.compile()
    with pytest.raises(RangeError, match="hold for 2 public tokens: give their hidden states"):
        compile_decoder(
            decoder.layers,
            decoder.ranges,
            tokens=TOKENS,
            bootstrap=presets.insecure(9, levels_left=14),
            origin="no public states",
        )
    with pytest.raises(RangeError, match="no layer to compile"):
        compile_decoder(
            [], decoder.ranges, tokens=TOKENS, bootstrap=presets.insecure(9, levels_left=14), origin="none"
        )
