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


def test_rows_of_a_table_are_the_vectors_of_each():
    table = np.arange(6).reshape(3, 2)
    found = SlotVector.rows(table)
    assert [own.values.tolist() for own in found] == [SlotVector(row).values.tolist() for row in table]
    assert all(own.values.dtype == np.float64 and own.period == 2 for own in found)
    for wrong in (np.ones((2, 3)), np.ones(4), np.ones((2, 0))):
        with pytest.raises(LayoutError):
            SlotVector.rows(wrong)
    with pytest.raises(RangeError):
        SlotVector.rows([[1.0, 2.0], [np.nan, 1.0]])


def test_types_and_period():
    assert SlotVector(np.array([1, 2])).values.dtype == np.float64
    assert SlotVector.of(3).period == 1
    assert not SlotVector.of([1j, 2]).is_real
    np.testing.assert_array_equal(SlotVector.of([1, 2]).dense(8), [1, 2] * 4)
    with pytest.raises(LayoutError):
        SlotVector.of(np.ones(16)).dense(8)
