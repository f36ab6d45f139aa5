"""The encrypted run against the clear interpreter, value by value, and against PyTorch."""

from __future__ import annotations

import numpy as np

from .conftest import TOKENS
from .tiny import reference


def test_every_value_equals_the_clear_interpreter(encrypted):
    """Noise below 2^-16 in every slot of every value of both blocks, padding included."""
    assert set(encrypted.decrypted) == set(encrypted.clear) == set(encrypted.program.symbols())
    errors = {
        name: np.abs(found - encrypted.clear[name]).max() for name, found in encrypted.decrypted.items()
    }
    assert {name: error for name, error in errors.items() if not error < 2.0**-16} == {}


def test_no_value_is_exact(encrypted):
    """The comparison is not of a thing with itself: noise is there."""
    name = encrypted.program.graph.results[0]
    assert np.abs(encrypted.decrypted[name] - encrypted.clear[name]).max() > 2.0**-35


def test_levels_scales_and_components_are_the_verified_ones(encrypted):
    """Scales bit for bit: the plan of a distributed run carries them."""
    for name, symbol in encrypted.program.symbols().items():
        value = encrypted.values[name]
        assert (value.level, value.components) == (symbol.level, symbol.components), name
        assert value.scale == symbol.scale, name


def test_result_equals_pytorch(encrypted, tiny):
    expected = reference(tiny.module, tiny.hidden[:TOKENS])
    assert encrypted.result.shape == expected.shape
    assert np.abs(encrypted.result - expected).max() < 1e-4
    cosine = (encrypted.result * expected).sum(1)
    cosine /= np.linalg.norm(encrypted.result, axis=1) * np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.999999


def test_values_stay_far_below_the_modulus(encrypted):
    """What the verifier's headroom of 2^4 rests on: no slot grows beyond it near the bottom of the chain."""
    symbols = encrypted.program.symbols()
    low = [name for name, symbol in symbols.items() if symbol.level <= 1]
    assert low
    assert max(np.abs(encrypted.clear[name]).max() for name in low) < 2.0**4
