"""Heads on the first token: logits against PyTorch, ciphertexts against approximations, exact counts."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
import torch
from transformers import BertModel

import aegis_fhe
from aegis_fhe.circuits.polynomial import polynomial_depth
from aegis_fhe.errors import CompatibilityError, RangeError, UnsupportedModuleError
from aegis_fhe.models.encoder_calibration import calibrate_encoder, encoder_violations
from aegis_fhe.program import CompiledProgram
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.encoder import compile_encoder, encoder_layers
from aegis_fhe.program.encoder.simulate import SimulatedEncoder
from aegis_fhe.program.operators import Refresh
from aegis_fhe.program.results import ClearResult
from aegis_fhe.program.returns import Logits, PooledToken, TokenMean
from aegis_fhe.program.simulate.noise import Noise

from .test_encoder import run_encrypted
from .test_simulate import silent, with_perfect_bootstraps
from .tiny_classifier import (
    bert_config,
    exact_logits,
    random_ids,
    tiny_classifier,
    tiny_model,
    tiny_parts,
)
from .tiny_encoder import FEATURES, plan, tiny_encoder

# Of logits up to 1, after two layers with series within 1e-3; float32 against float64 is 1e-6.
APPROXIMATION = 5e-4


def embedded(ids: list[int]) -> np.ndarray:
    return tiny_model()[1].embed(ids)


@pytest.mark.parametrize("tokens", [8, 16, 24])
def test_logits_are_those_of_the_module_at_every_length(tokens):
    """One block, a pair, and a pair with one more: the first token sees them all."""
    program = tiny_classifier(tokens)
    for length in (1, 2, 7, tokens):
        ids = random_ids(1, length, seed=length)[0]
        found = program.run_clear(embedded(ids)).logits
        assert found.shape == (3,)
        assert np.abs(found - exact_logits(ids)).max() < APPROXIMATION


@pytest.mark.parametrize("labels", [1, 2, 5, 8])
def test_as_many_labels_as_a_block_has_tokens(labels):
    ids = random_ids(1, 11, seed=labels)[0]
    found = tiny_classifier(16, labels).run_clear(tiny_model(labels)[1].embed(ids)).logits
    assert found.shape == (labels,)
    assert np.abs(found - exact_logits(ids, labels)).max() < APPROXIMATION


@pytest.mark.parametrize("length", [5, 16])
def test_encrypted_logits_are_clear_ones_but_for_noise(length):
    program, hidden = tiny_classifier(), embedded(random_ids(1, length, seed=length)[0])
    error = np.abs(run_encrypted(program, hidden) - program.run_clear(hidden).logits).max()
    assert 0 < error < 1e-4


def test_the_simulation_without_noise_is_the_program():
    layers, head, ranges = tiny_parts()
    for tokens in (8, 24):
        program = tiny_classifier(tokens)
        simulated = SimulatedEncoder.of(layers, ranges, max_tokens=tokens, head=head)
        for length in (1, 2, 5, tokens):
            hidden = embedded(random_ids(1, length, seed=length)[0])
            found, expected = simulated(hidden, silent()), with_perfect_bootstraps(program, hidden)
            assert found.shape == (3,)
            assert np.abs(found - expected).max() < 1e-9
            assert simulated.outside(hidden) == ()


def test_noise_of_both_simulations_is_alike():
    layers, head, ranges = tiny_parts()
    program, hidden = tiny_classifier(), embedded(random_ids(1, 13, seed=3)[0])
    simulated = SimulatedEncoder.of(layers, ranges, max_tokens=16, head=head)
    from aegis_fhe.program.encoder.noise_bits import noise_bits

    bits, clear = noise_bits(program, simulated, hidden), program.run_clear(hidden).logits
    slots = [program.run_simulated(hidden, seed=seed).logits - clear for seed in range(6)]
    quiet, rng = simulated(hidden, silent()), np.random.default_rng(1)
    numbers = [simulated(hidden, Noise(bits, rng)) - quiet for _ in range(40)]
    assert 0.4 < np.sqrt(np.mean(np.square(numbers)) / np.mean(np.square(slots))) < 2.5


def test_counts_of_the_head():
    """A projection, an odd series of degree 31, two rotations for three labels, six for 64 sub-slots."""
    program = tiny_classifier()
    counts, symbols = program.node_counts(), program.symbols()
    assert {
        name: counts[f"{name}[0]"].totals()
        for name in ("pooled", "pooled.copied", "logits.weighted", "logits.sum", "logits")
    } == {
        "pooled": {"add": 1, "key switch": 11, "product": 12, "rescale": 2, "scalar term": 35.5},
        "pooled.copied": {"accumulated rotation": 2, "add": 2, "mod down": 2, "mod up": 2},
        "logits.weighted": {"plain product": 1, "rescale": 1},
        "logits.sum": {"accumulated rotation": 6, "add": 6, "mod down": 6, "mod up": 6},
        "logits": {"plain add": 1},
    }
    pooler, query = counts["pooler[0]"].totals(), counts["0.qkv[0]"].totals()
    assert pooler["plain product"] == 2 * FEATURES - 1
    assert pooler["mod up"] <= query["mod up"]
    levels = {name: symbols[f"{name}[0]"].level for name in ("pooler", "pooled", "logits")}
    first = symbols["1.output.hidden[0]"].level
    assert levels == {
        "pooler": first - 1,
        "pooled": first - 1 - polynomial_depth(31),
        "logits": first - 2 - polynomial_depth(31),
    }


def test_the_last_layer_is_computed_for_one_block():
    """Of the other block it has keys and values: bootstraps are as many, but no pair, products fewer."""
    _, encoder = tiny_encoder()
    program = tiny_classifier()
    other = [node.name for node in program.graph.nodes if node.block == 1 and node.name.startswith("1.")]
    assert not any(part in name for name in other for part in ("gelu", "norm", "second", "output"))
    assert any("q" in name or "k" in name for name in other)
    last = [
        node
        for node in program.graph.nodes
        if isinstance(node.operator, Refresh) and node.name.startswith("1.") and ".x." not in node.name
    ]
    assert [len(node.inputs) for node in last] == [1] * len(last)
    assert program.counts().total("bootstrap") <= encoder.counts().total("bootstrap")
    assert program.counts().total("product") < 0.8 * encoder.counts().total("product")


def test_a_deep_tanh_begins_with_a_bootstrap():
    """Degree 255 takes ten levels with both products; the last norm leaves nine."""
    layers, head, ranges = tiny_parts()
    wide = msgspec.structs.replace(ranges, head=msgspec.structs.replace(ranges.head, pooler=40.0))
    program = compile_encoder(layers, wide, max_tokens=16, head=head, bootstrap=plan(), origin="")
    symbols = program.symbols()
    assert symbols["1.output.hidden[0]"].level == 9
    assert symbols["first.fresh[0]"].level == program.bootstrap.output_level
    assert program.counts().total("bootstrap") == tiny_classifier().counts().total("bootstrap") + 1
    ids = random_ids(1, 7, seed=7)[0]
    assert np.abs(program.run_clear(embedded(ids)).logits - exact_logits(ids)).max() < 1e-3


def test_no_key_serves_the_head_alone():
    """Its rotations are those of the layers."""
    program = tiny_classifier()
    names = {node.name for node in program.graph.nodes if node.stage == "head"}
    counts = program.node_counts()
    own = {step for name in names for step in counts[name].keys}
    layers = {step for name in counts.keys() - names for step in counts[name].keys}
    assert own <= layers


def test_everything_but_the_first_token_is_zero_before_the_head():
    """Or a pooler of any token could leave tanh's range, and a value out of range spoils its ciphertext."""
    from aegis_fhe.program.clear import ClearBackend
    from aegis_fhe.program.interpret import run_graph

    program, hidden = tiny_classifier(), embedded(random_ids(1, 12, seed=2)[0])
    backend, seen = ClearBackend(program.params.q, program.params.slots), {}
    inputs = {
        name: backend.encode(values, program.input_level, program.params.scale)
        for name, values in zip(program.input_names(), program.pack(hidden), strict=True)
    }
    run_graph(
        program.graph,
        backend,
        inputs,
        program.context(12),
        observe=lambda node, values: seen.update(zip(node.outputs, values, strict=True)),
    )
    for name in ("1.output.hidden[0]", "pooler.biased[0]", "pooled[0]"):
        rows = seen[name].slots.reshape(8, -1)
        assert np.abs(rows[1:]).max() < 1e-9
        assert 0.1 < np.abs(rows[0]).max() <= 1


def test_the_pooled_output_of_a_plain_model():
    torch.manual_seed(6)
    module, example = BertModel(bert_config()).eval(), torch.ones(1, 16, dtype=torch.long)
    captured = capture_network(module, example, output="pooler_output")
    layers, head = encoder_layers(captured.network, captured.weights)
    samples = [captured.embed(ids) for ids in random_ids(100, 16)]
    ranges = calibrate_encoder(layers, samples, "", head=head)
    program = aegis_fhe.compile(module, example, ranges, output="pooler_output", bootstrap=plan())
    assert program.returns == PooledToken()
    ids = random_ids(1, 9, seed=8)[0]
    with torch.no_grad():
        expected = module(torch.tensor([ids])).pooler_output.numpy()
    result = program.run_clear(captured.embed(ids))
    assert result.hidden.shape == (1, FEATURES)
    assert np.abs(result.hidden - expected).max() < 2e-3
    with pytest.raises(CompatibilityError, match="PooledToken, no logits"):
        _ = result.logits


def test_the_module_itself_is_compiled():
    module, _ = tiny_model()
    _, _, ranges = tiny_parts()
    program = aegis_fhe.compile(module, torch.ones(1, 16, dtype=torch.long), ranges, bootstrap=plan())
    assert program.returns == Logits(("LABEL_0", "LABEL_1", "LABEL_2"))
    hidden = embedded(random_ids(1, 6, seed=4)[0])
    assert np.array_equal(program.run_clear(hidden).logits, tiny_classifier().run_clear(hidden).logits)
    with pytest.raises(UnsupportedModuleError, match="a head of its own"):
        aegis_fhe.compile(
            module, torch.ones(1, 16, dtype=torch.long), ranges, head=TokenMean(), bootstrap=plan()
        )


def test_a_program_survives_its_description():
    program = tiny_classifier()
    again = CompiledProgram.from_metadata(program.metadata(), program.constants)
    assert (again.fingerprint, again.returns) == (program.fingerprint, program.returns)
    assert again.ranges == program.ranges
    result = again.run_clear(embedded([1, 2, 3]))
    assert type(result) is ClearResult
    with pytest.raises(CompatibilityError, match="returns logits, no hidden states"):
        _ = result.hidden


def test_ranges_cover_the_head_and_name_what_leaves_them():
    layers, head, ranges = tiny_parts()
    hidden = embedded(random_ids(1, 12, seed=2)[0])
    assert encoder_violations(layers, ranges, hidden, head=head) == []
    argument = np.abs(head.argument(layers[1].evaluate(layers[0].evaluate(hidden))[:1])).max()
    largest = np.abs(exact_logits(random_ids(1, 12, seed=2)[0])).max()
    tight = msgspec.structs.replace(
        ranges, head=msgspec.structs.replace(ranges.head, pooler=0.9 * argument, logits=0.9 * largest)
    )
    pooler, logits = encoder_violations(layers, tight, hidden, head=head)
    assert pooler.startswith("head: tanh input up to")
    assert logits.startswith("head: logits up to")
    simulated = SimulatedEncoder.of(layers, tight, max_tokens=16, head=head)
    found = simulated.outside(hidden)
    assert ["tanh inputs outside" in found[0], "logits outside" in found[1]] == [True, True]


def test_what_does_not_fit_is_refused():
    layers, head, ranges = tiny_parts()

    def compiled(head, ranges=ranges):
        compile_encoder(layers, ranges, max_tokens=16, head=head, bootstrap=plan(), origin="")

    bare = msgspec.structs.replace(ranges, head=None)
    with pytest.raises(RangeError, match=r"^bert.pooler.dense: the ranges do not cover this head"):
        compiled(head, bare)
    pooled = dataclasses.replace(head, classifier=None, labels=())
    with pytest.raises(RangeError, match="do not cover this head"):
        compiled(pooled)
    layers9, head9, ranges9 = tiny_parts(9)
    with pytest.raises(UnsupportedModuleError, match=r"^classifier: 9 labels, the layout has room for 8"):
        compile_encoder(layers9, ranges9, max_tokens=16, head=head9, bootstrap=plan(), origin="")
    with pytest.raises(UnsupportedModuleError, match="classifier: 1 labels for 3 logits"):
        dataclasses.replace(head, labels=("praise",))
    narrow = dataclasses.replace(head.pooler, weight=head.pooler.weight[:, :16])
    with pytest.raises(UnsupportedModuleError, match=r"bert.pooler.dense: weight \[32, 16\]"):
        compiled(dataclasses.replace(head, pooler=narrow))
    with pytest.raises(RangeError, match="positive"):
        msgspec.structs.replace(ranges.head, logits=0.0)


class Ending(torch.nn.Module):
    """A BERT whose states another function follows."""

    def __init__(self, end) -> None:
        super().__init__()
        self.bert = tiny_model()[0].bert
        self.dense = torch.nn.Linear(FEATURES, FEATURES)
        self.end = end

    def forward(self, ids):
        return self.end(self, self.bert(ids).last_hidden_state)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda self, x: x[:, 0], "one token's hidden states cannot be a result"),
        (lambda self, x: self.dense(x), "what the classifier is applied to must be Tanh, found LayerNorm"),
        (lambda self, x: torch.tanh(self.dense(x[:, -1])), "dense: is applied to the last token"),
        (lambda self, x: torch.tanh(self.dense(x)), "the input of the pooler must be TakeToken"),
    ],
)
def test_other_heads_are_refused(end, words):
    captured = capture_network(Ending(end), torch.ones(1, 6, dtype=torch.long))
    with pytest.raises(UnsupportedModuleError, match=words):
        encoder_layers(captured.network, captured.weights)
