"""A stretch of a network computes that stretch, and nothing from before it."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.network import evaluate, part_of
from aegis_fhe.program.network.graph import INPUT

from .test_graph import residual


def test_parts_in_a_row_are_the_whole():
    network, x = residual(), np.random.default_rng(0).normal(size=(3, 2))
    seen = {INPUT: x}
    evaluate(network, {}, x, observe=lambda node, inputs, value: seen.update({node.name: value}))
    np.testing.assert_array_equal(evaluate(part_of(network, INPUT, "b"), {}, x), seen["b"])
    np.testing.assert_array_equal(evaluate(part_of(network, "a", "b"), {}, seen["a"]), seen["b"])
    np.testing.assert_array_equal(evaluate(part_of(network, "a", "a"), {}, seen["a"]), seen["a"])


def test_a_value_from_before_is_refused():
    """c is a sum with the network's own input, d with a."""
    with pytest.raises(UnsupportedModuleError, match="c: uses hidden besides b"):
        part_of(residual(), "b", "c")
    with pytest.raises(UnsupportedModuleError, match="d: uses a before it exists"):
        part_of(residual(), "c", "d")
