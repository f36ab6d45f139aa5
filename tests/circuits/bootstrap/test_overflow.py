"""The probability of an overflow against sums drawn, and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aegis_fhe.circuits.bootstrap.overflow import overflow_probability


@pytest.mark.parametrize(("weight", "bound"), [(2, 1), (4, 1), (4, 2), (8, 2), (15, 3)])
def test_probability_is_the_frequency(weight, bound):
    rng = np.random.default_rng(weight)
    sums = rng.uniform(-0.5, 0.5, (400_000, weight + 1)).sum(axis=1)
    frequency = np.mean(np.abs(np.rint(sums)) >= bound)
    assert frequency == pytest.approx(overflow_probability(1, weight, bound), rel=0.05)


def test_closed_forms():
    """Only the corner of the cube is beyond: (1/n!) of both ends. No overflow at all beyond that."""
    corner = 2 * 2**16 / math.factorial(33)
    assert overflow_probability(2**16, 32, 16) == pytest.approx(corner, rel=1e-12)
    assert overflow_probability(2**16, 32, 17) == 0.0
    assert overflow_probability(2**16, 192, 1) == 1.0


def test_what_the_presets_rest_on():
    assert overflow_probability(2**16, 32, 16) < 2.0**-100
