"""Statistics of tokens and of heads against numpy, with exact counts."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.long.context import GridContext
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.placement import Placement
from aegis_fhe.program.long.statistics import FeatureSum, HeadSum, SquareSum

MODULI = (2**50, *(2**40 for _ in range(5)))
SCALE = 2.0**40


def facts(tokens: int) -> GridContext:
    return GridContext(constants={}, scale=SCALE, tokens=tokens)


@pytest.mark.parametrize("tokens", [24, 16])
def test_sum_over_features(tokens, rng):
    layout = GridLayout.of(256, tokens)
    placement = Placement.dense(40, layout.sub_slots)
    hidden, backend = rng.normal(size=(tokens, 40)), ClearBackend(MODULI, 256)
    for p, row in enumerate(placement.pack(hidden, layout)):
        backend.symbolic.counts.by_level.clear()
        operator = FeatureSum(layout=layout, block=p, factor=0.25, offset=3.0, padding=-1.0)
        columns = [backend.encode(values, 3, SCALE) for values in row]
        (found,) = operator.lower(backend, columns, facts(tokens))
        expected = np.full((layout.tokens, layout.sub_slots), -1.0)
        own = hidden[p * layout.tokens : (p + 1) * layout.tokens]
        expected[: len(own)] = 0.25 * own.sum(axis=1, keepdims=True) + 3.0
        np.testing.assert_allclose(found.slots, expected.reshape(-1), atol=1e-12)
        assert (found.symbol.level, found.symbol.scale) == (2, SCALE)
        counts = backend.symbolic.counts
        assert counts.total("accumulated rotation") == 8  # log2 16 there, as many back
        assert counts.total("plain product") == 1


@pytest.mark.parametrize("features", [32, 24, 19])
def test_squares_of_a_centred_grid(features, rng):
    """Sub-slots outside the features hold minus the mean; over a token their squares cancel."""
    layout = GridLayout.of(256, 16)
    placement = Placement.dense(features, layout.sub_slots)
    hidden, backend = rng.normal(size=(16, features)) + 0.7, ClearBackend(MODULI, 256)
    means = np.repeat(hidden.mean(axis=1), layout.sub_slots)
    (row,) = placement.pack(hidden, layout)
    columns = [backend.encode(values - means, 4, SCALE) for values in row]
    excess = placement.columns * layout.sub_slots - features
    operator = SquareSum(layout.sub_slots, excess)
    inputs = [*columns, backend.encode(means, 4, SCALE)] if excess else columns
    (squares,) = operator.lower(backend, inputs, facts(16))
    total = FeatureSum(layout=layout, block=0, factor=1.0 / (operator.multiple * features))
    (variance,) = total.lower(backend, [squares], facts(16))
    expected = np.repeat(hidden.var(axis=1), layout.sub_slots)
    np.testing.assert_allclose(variance.slots, expected, atol=1e-12)
    assert backend.symbolic.counts.total("key switch") == 1  # one relinearisation for all columns


def test_sum_over_key_blocks(rng):
    layout = GridLayout.of(512, 24)  # 8 tokens are padding
    x, backend = rng.normal(size=(32, 4, 4)), ClearBackend(MODULI, 512)
    operator = HeadSum(
        layout=layout, block=0, heads=3, padded_heads=4, key_blocks=4, factor=0.5, offset=2.0, padding=0.25
    )
    (found,) = operator.lower(backend, [backend.encode(x.reshape(-1), 3, SCALE)], facts(24))
    expected = np.full((32, 4, 4), 0.25)
    expected[:24, :, :3] = 0.5 * x[:24, :, :3].sum(axis=1, keepdims=True) + 2.0
    np.testing.assert_allclose(found.slots, expected.reshape(-1), atol=1e-12)
    assert backend.symbolic.counts.total("accumulated rotation") == 4
