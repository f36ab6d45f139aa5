"""Masks by brute force: slot by slot, from the words of their definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aegis_fhe.program import TokenMajorLayout
from aegis_fhe.program.selection import select

LAYOUT = TokenMajorLayout(slots=256, tokens=4, heads=2, head_dim=4, zones=3)
VALUES = np.random.default_rng(5).normal(size=LAYOUT.sub_slots)


def selected(where: str, block: int, tokens: int) -> np.ndarray:
    return select(LAYOUT, VALUES, where, block=block, tokens=tokens).dense(LAYOUT.slots)


@pytest.mark.parametrize("tokens", [1, 4, 5, 11, 12, 17, 24])
@pytest.mark.parametrize("block", [0, 3])
def test_real_keys(block, tokens):
    """Key (t + x) mod tokens of key block `block` + z is real when it comes before the end of the text."""
    expected = np.zeros(LAYOUT.slots)
    for t, z, x, h in itertools.product(range(4), range(3), range(4), range(2)):
        slot = LAYOUT.slot(t, z, x, h)
        if (block + z) * 4 + (t + x) % 4 < tokens:
            expected[slot] = VALUES[slot % LAYOUT.sub_slots]
    np.testing.assert_array_equal(selected("real keys", block, tokens), expected)
    everywhere = np.tile(VALUES, LAYOUT.tokens)
    np.testing.assert_array_equal(selected("other keys", block, tokens), everywhere - expected)


@pytest.mark.parametrize("tokens", [1, 4, 6, 8])
@pytest.mark.parametrize("block", [0, 1])
@pytest.mark.parametrize(
    ("where", "chosen"),
    [
        ("real tokens", lambda t, block, tokens: 4 * block + t < tokens),
        ("first token", lambda t, block, tokens: t == 0),
        ("later tokens", lambda t, block, tokens: t > 0),
    ],
)
def test_tokens(where, chosen, block, tokens):
    rows = [VALUES if chosen(t, block, tokens) else np.zeros_like(VALUES) for t in range(4)]
    np.testing.assert_array_equal(selected(where, block, tokens), np.concatenate(rows))


def test_everywhere_stays_periodic():
    """Periodic plaintexts are encoded compressed: their period must not grow."""
    vector = select(LAYOUT, VALUES, "everywhere", block=2, tokens=3)
    assert vector.period == LAYOUT.sub_slots
    np.testing.assert_array_equal(vector.values, VALUES)
