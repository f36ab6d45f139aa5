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
    result = sine.evaluate(clear, clear.encode(t / sine.bound, 14, 2.0**50), target_scale=TARGET)
    assert result.symbol.level == 14 - sine.depth
    assert result.symbol.scale == pytest.approx(TARGET, rel=2.0**-40)
    return float(np.abs(result.slots - distance).max() / sine.width)


@pytest.mark.parametrize("width", [2.0**-6, 2.0**-8, 2.0**-10])
def test_error_is_the_arcsines_next_term(width, rng):
    for cubic, formula in (
        (True, (2 * math.pi * width) ** 4 * 3 / 40),
        (False, (2 * math.pi * width) ** 2 / 6),
    ):
        sine = SineModulus(bound=16, width=width, degree=39, doublings=3, cubic=cubic)
        assert sine.depth == 9 + 2 * cubic
        assert error(sine, rng) == pytest.approx(formula, rel=0.05, abs=2.0**-30)


@pytest.mark.parametrize(("degree", "doublings"), [(31, 3), (27, 4), (63, 2), (60, 1), (60, 0)])
def test_fits_of_every_kind(degree, doublings, rng):
    """Without doublings the fit itself is the sine of 8 periods."""
    sine = SineModulus(bound=16 if doublings > 1 else 8, degree=degree, doublings=doublings)
    assert error(sine, rng) < 2.0**-24


def test_outside_its_width_the_fit_is_no_good(rng):
    """Fitted where values are, and nowhere else: that is what makes a low degree enough."""
    sine = SineModulus(bound=16, width=2.0**-8, degree=31)
    assert error(sine, rng, width=0.2) > 2.0**-8


@pytest.mark.parametrize(
    "facts", [{"bound": 1}, {"width": 0.0}, {"width": 0.25}, {"degree": 0}, {"doublings": -1}]
)
def test_sines_that_cannot_be_fitted_are_refused(facts):
    with pytest.raises(RangeError, match="cannot be fitted"):
        SineModulus(**facts)
