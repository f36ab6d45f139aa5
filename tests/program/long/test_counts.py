"""Exact counts of whole layers, from their shapes alone and on the parameters they would run on."""

from __future__ import annotations

import functools
import time

import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.program.long.counts import LayerCounts, count_layer
from aegis_fhe.program.long.shape import BERT_BASE, SMOLLM2_135M, Degrees, LayerShape

GIB = 2**30
DECODER_DEGREES = Degrees(reciprocal=127, newton_steps=2, activation=31)


@functools.cache
def counted(shape: LayerShape, tokens: int) -> LayerCounts:
    degrees = DECODER_DEGREES if shape.gated else Degrees()
    return count_layer(shape, presets.n16(), tokens=tokens, degrees=degrees)


def rotations(counts: LayerCounts, stage: str) -> float:
    return counts.stages[stage].total("rotation") + counts.stages[stage].total("accumulated rotation")


def test_bert_base_at_2048_tokens():
    """Linear layers with 12 of 16 head sub-slots in use: 27 of 31 diagonals of QKV and O."""
    counts = counted(BERT_BASE, 2048)
    plain = {name: c.total("plain product") for name, c in counts.stages.items()}
    assert plain["qkv"] == 27 * 48 * 192
    assert plain["output"] == 27 * 64 * 48
    assert plain["expand"] == plain["contract"] == 285_696
    linear = {name: rotations(counts, name) for name in ("qkv", "output", "expand", "contract")}
    assert linear == {"qkv": 912, "output": 480, "expand": 912, "contract": 912}
    attend = counts.stages["attend"]
    assert rotations(counts, "attend") == 2 * 5_696 + 40
    # exp of degree 15 takes 8 products, two of which are relinearised together, and 2 squarings.
    assert attend.total("product") == 2 * 131_072 + 2_048 * 10
    assert attend.total("key switch") == 2_048 + 2_624 + 2_048 * 9
    assert attend.total("bootstrap") == 0
    assert counts.rotations == sum(linear.values()) + 2 * 5_696 + 40 + 2 * 16


def test_bert_base_bootstraps_and_weights():
    counts = counted(BERT_BASE, 2048)
    refreshes = counts.refreshes
    assert counts.bootstraps == refreshes.bootstraps == 2 * 24 + 3 <= 90
    expected = {"first.normalised", "second.normalised", "first.variance", "second.variance", "denominator"}
    assert refreshes.refreshed == expected
    assert counts.encoded_weight_bytes == 903_168 * 2 * 16 * 8 <= 0.22 * GIB


def test_smollm2_at_2048_tokens():
    """Thirty equal layers are one, counted once: the whole program takes seconds."""
    start = time.perf_counter()
    counts = count_layer(SMOLLM2_135M, presets.n16(), tokens=2048, degrees=DECODER_DEGREES)
    assert time.perf_counter() - start < 60
    layers = 30
    attend = counts.stages["attend"]
    assert rotations(counts, "attend") == 2 * 5_696 + 40
    assert attend.total("plain product") == 2_048  # the causal masks
    assert rotations(counts, "expand") == 732
    assert rotations(counts, "contract") == 540
    assert rotations(counts, "qkv") == 732
    assert counts.stages["expand"].total("plain product") == 214_272
    assert counts.stages["contract"].total("plain product") == 107_136
    # 9 heads of 16 sub-slots: 24 of 31 diagonals; two rotary factors for each column of Q and of K.
    assert counts.stages["qkv"].total("plain product") == 24 * 36 * 192 + 2 * 64 + 2 * 64
    assert layers * counts.bootstraps == layers * (3 * 18 + 2)
    assert layers * counts.encoded_weight_bytes < 4 * GIB


@pytest.mark.parametrize(
    ("shape", "tokens", "diagonals"),
    [
        (BERT_BASE, 16, 16 // 4),
        (SMOLLM2_135M, 64, 64 // 4),
        (SMOLLM2_135M, 513, 1024 // 2),
        (SMOLLM2_135M, 4096, 3 * 2048),  # two token blocks, one pair of which sees nothing
    ],
)
def test_any_length_is_planned(shape, tokens, diagonals):
    """Every layer ends where its successor begins (or count_layer raises); scores are never refreshed."""
    counts = counted(shape, tokens)
    assert counts.layout.tokens * counts.layout.blocks >= tokens
    attend = counts.stages["attend"]
    assert attend.total("bootstrap") == 0
    assert attend.total("plain product") == (diagonals if shape.causal else 0)
    assert attend.total("plain add") == diagonals


def test_keys_are_those_of_the_run():
    """Bootstraps and the layer share what they can; no key is asked for twice."""
    counts = counted(BERT_BASE, 2048)
    steps = [request.step for request in counts.key_requests]
    assert len(steps) == len(set(steps))
    assert set(presets.n16().counts.keys) <= set(steps)
    assert counts.key_bytes < 5 * GIB
