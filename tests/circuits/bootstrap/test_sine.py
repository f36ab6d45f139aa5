"""The sine's error against its formula, in the clear; levels and scales."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aegis_fhe.circuits.bootstrap import SineModulus
from aegis_fhe.errors import RangeError
from aegis_fhe.program.clear import ClearBackend

MODULI = (2**50 - 27, *[2**50 - 87 * i for i in range(2, 16)])
TARGET = 2.0**49.3


def error(sine: SineModulus, rng: np.random.Generator, width: float | None = None) -> float:
    """The largest error over the width."""
    width = sine.width if width is None else width
    clear = ClearBackend(MODULI, 4096)
    distance = width * rng.uniform(-1, 1, 4096)
    t = rng.integers(1 - sine.bound, sine.bound, 4096) + distance
    u = clear.encode(t / sine.bound, 14, 2.0**50)
    result = sine.evaluate(clear, u, factor=1 / sine.width, target_scale=TARGET)
    assert result.symbol.level == 14 - sine.depth
    assert result.symbol.scale == pytest.approx(TARGET, rel=2.0**-40)
    return float(np.abs(result.slots - distance / sine.width).max())


@pytest.mark.parametrize("width", [2.0**-4, 2.0**-6, 2.0**-8])
@pytest.mark.parametrize("arcsine_degree", [1, 3, 5, 7])
def test_error_is_what_the_arcsine_leaves_out(width, arcsine_degree, rng):
    """Within the formula by a factor 2 on both sides, but for the rounding of double precision."""
    w = 2 * math.pi * width
    formula = w**2 / 6 if arcsine_degree == 1 else (w / 2) ** (arcsine_degree + 1) / 10
    sine = SineModulus(width=width, degree=38, doublings=3, arcsine_degree=arcsine_degree)
    assert sine.depth == 9 + {1: 0, 3: 2, 5: 3, 7: 3}[arcsine_degree]
    found = error(sine, rng)
    assert found < 2 * formula + 2.0**-33
    assert found > formula / 2 - 2.0**-33


@pytest.mark.parametrize(("degree", "doublings"), [(30, 3), (26, 4), (62, 2), (60, 1), (78, 0)])
def test_fits_of_every_kind(degree, doublings, rng):
    """Without doublings the fit itself is the sine of 8 periods."""
    bound = 16 if doublings > 1 else 8
    assert error(SineModulus(bound=bound, degree=degree, doublings=doublings), rng) < 2.0**-24


def test_outside_its_width_the_fit_is_no_good(rng):
    """Fitted where values are, and nowhere else: that is what makes a low degree enough."""
    sine = SineModulus(bound=16, width=2.0**-8)
    assert error(sine, rng, width=0.2) > 2.0**-8


@pytest.mark.parametrize(
    "facts",
    [
        {"bound": 1},
        {"width": 0.0},
        {"width": 0.25},
        {"degree": 0},
        {"degree": 31},
        {"doublings": -1},
        {"arcsine_degree": 2},
    ],
)
def test_sines_that_cannot_be_fitted_are_refused(facts):
    with pytest.raises(RangeError, match="cannot be fitted"):
        SineModulus(**facts)
