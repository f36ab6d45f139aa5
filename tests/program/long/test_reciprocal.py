"""1/D over a wide range: Newton steps square the relative error of the series."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits.reciprocal import fit_reciprocal, relative_error
from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.long.context import GridContext
from aegis_fhe.program.long.reciprocal import Reciprocal
from aegis_fhe.program.operators import Polynomial

MODULI = (2**50, *(2**40 for _ in range(12)))
SCALE = 2.0**40


@pytest.mark.parametrize("value", [1.0, 0.4])
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_relative_error(steps, value):
    """Of value / (slope D), at a depth that does not depend on the value."""
    low, high, degree = 0.05, 5.0, 31
    fit = fit_reciprocal(low, high, degree=degree)
    operator = Reciprocal(Polynomial.of(fit.scaled(value / fit.slope)), fit.offset, steps, value)
    backend, d = ClearBackend(MODULI, 1024), np.geomspace(low, high, 1024)
    u = backend.encode(fit.slope * d + fit.offset, 12, SCALE)
    (y,) = operator.lower(backend, [u], GridContext(constants={}, scale=SCALE, tokens=8))
    error = np.abs(y.slots * fit.slope * d / value - 1).max()
    expected = relative_error(low, high, degree=degree) ** (2**steps)
    assert 0.9 * expected < error < 1.01 * expected + 1e-12
    assert y.symbol.level == 12 - operator.depth == 12 - 5 - 2 * steps
