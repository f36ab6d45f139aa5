"""Products end exactly where their docstrings say: level and scale."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits.products import multiply, multiply_plain, multiply_scalar, plain_scale
from aegis_fhe.ckks import SlotVector

SCALE = 2.0**40
TARGET = 2.0**40 * 1.7


def test_plain_and_scalar_products_end_at_the_target_scale(clear, rng):
    x, weights = rng.normal(size=clear.slots), rng.normal(size=16)
    value = clear.encode(x, 3, SCALE * 1.1)
    for result, expected in (
        (multiply_plain(clear, value, SlotVector(weights), TARGET), x * np.tile(weights, clear.slots // 16)),
        (multiply_scalar(clear, value, -0.3, TARGET), -0.3 * x),
    ):
        np.testing.assert_array_equal(result.slots, expected)
        assert clear.level(result) == 2
        assert clear.scale(result) == pytest.approx(TARGET, rel=2.0**-50)
    assert plain_scale(clear, value, TARGET) == pytest.approx(TARGET * clear.moduli[3] / (SCALE * 1.1))


def test_product_of_different_levels(clear, rng):
    x, y = rng.normal(size=clear.slots), rng.normal(size=clear.slots)
    result = multiply(clear, clear.encode(x, 4, SCALE), clear.encode(y, 2, SCALE))
    np.testing.assert_array_equal(result.slots, x * y)
    assert (clear.level(result), result.symbol.components) == (1, 2)
    assert clear.scale(result) == pytest.approx(SCALE * SCALE / clear.moduli[2], rel=2.0**-50)
