"""How near a value is to the ends of its interval, whatever their signs."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.models.extremes import Extremes
from aegis_fhe.program.ranges import Interval


@pytest.mark.parametrize(
    ("values", "interval", "share", "outside"),
    [
        ([-3.0, 1.0], (-4.0, 4.0), 0.75, False),
        ([-1.0, 5.0], (-4.0, 4.0), 1.25, True),
        ([0.5, 2.0], (0.4, 4.0), 0.8, False),
        ([0.2, 2.0], (0.4, 4.0), 2.0, True),
        ([0.0, 2.0], (0.4, 4.0), np.inf, True),
        ([-60.0, 2.0], (-100.0, 2.5), 0.8, False),
        ([-60.0, -5.0], (-100.0, -4.0), 0.8, False),
        ([-60.0, -2.0], (-100.0, -4.0), 2.0, True),
    ],
)
def test_share_of_the_nearer_bound(values, interval, share, outside):
    found = Extremes.of("x", np.array(values), Interval(*interval))
    assert found.share == pytest.approx(share)
    assert found.outside == outside == (found.share > 1)


def test_what_is_no_number_is_outside():
    assert Extremes.of_size("x", np.array([1.0, np.nan]), 4.0).outside


def test_words():
    assert Extremes.of_size("V", np.array([-5.0, 1.0]), 4.0).words() == "V up to 5, calibrated 4"
    assert (
        Extremes.of("scores", np.array([-5.0, 1.0]), Interval(-4.0, 2.0)).words()
        == "scores in [-5, 1], calibrated [-4, 2]"
    )
