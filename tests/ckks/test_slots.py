"""Slot vectors refuse what cannot be encoded."""

import numpy as np
import pytest

from aegis_fhe.ckks import SlotVector
from aegis_fhe.errors import LayoutError, RangeError


@pytest.mark.parametrize("values", [np.ones(3), np.ones((2, 2)), np.ones(0), np.float64(1.0)])
def test_wrong_shapes(values):
    with pytest.raises(LayoutError):
        SlotVector(values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, complex(0, np.nan)])
def test_not_finite(bad):
    with pytest.raises(RangeError):
        SlotVector(np.array([1.0, bad]))


def test_types_and_period():
    assert SlotVector(np.array([1, 2])).values.dtype == np.float64
    assert SlotVector.of(3).period == 1
    assert not SlotVector.of([1j, 2]).is_real
    np.testing.assert_array_equal(SlotVector.of([1, 2]).dense(8), [1, 2] * 4)
    with pytest.raises(LayoutError):
        SlotVector.of(np.ones(16)).dense(8)
