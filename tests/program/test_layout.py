"""The layout is a bijection from tensor indices to slots, and packing follows it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aegis_fhe.errors import LayoutError
from aegis_fhe.program import TokenMajorLayout

LAYOUTS = [
    TokenMajorLayout(slots=1024, tokens=8, heads=4, head_dim=8, zones=2),
    TokenMajorLayout(slots=1024, tokens=8, heads=3, head_dim=8, zones=5),
    TokenMajorLayout(slots=256, tokens=4, heads=2, head_dim=4, zones=1),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_slots_of_different_numbers_differ(layout):
    """Every (token, zone, column, head) has its own slot; they fill the first zones * width sub-slots."""
    ranges = (layout.tokens, layout.zones, layout.head_dim, layout.heads)
    slots = [layout.slot(*index) for index in itertools.product(*map(range, ranges))]
    used = np.arange(layout.slots).reshape(layout.tokens, layout.sub_slots)[:, : layout.zones * layout.width]
    assert slots == used.reshape(-1).tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_packing_puts_each_feature_into_its_slot(layout):
    """Feature h * head_dim + c of token t lies in slot(t, 0, c, h); all other slots are zero."""
    hidden = np.random.default_rng(1).normal(size=(layout.tokens, layout.width))
    packed = layout.pack(hidden)
    for t, h, c in itertools.product(range(layout.tokens), range(layout.heads), range(layout.head_dim)):
        assert packed[layout.slot(t, 0, c, h)] == hidden[t, h * layout.head_dim + c]
    assert np.count_nonzero(packed) == hidden.size
    np.testing.assert_array_equal(layout.unpack(packed), hidden)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fewer_rows_are_padded_with_zeros(layout):
    hidden = np.ones((1, layout.width))
    unpacked = layout.unpack(layout.pack(hidden))
    np.testing.assert_array_equal(unpacked[0], 1.0)
    assert not unpacked[1:].any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_vectors_tables_and_matrices_follow_the_same_order(layout):
    rng = np.random.default_rng(2)
    x, vector = rng.normal(size=(layout.tokens, layout.width)), rng.normal(size=layout.width)
    weight = rng.normal(size=(layout.width, layout.width))
    period = layout.pack(x).reshape(layout.tokens, layout.sub_slots)
    np.testing.assert_array_equal(layout.unpack(period * layout.features(vector)), x * vector)
    product = np.zeros_like(period)
    product[:, : layout.width] = period[:, : layout.width] @ layout.matrix(weight)
    np.testing.assert_allclose(layout.unpack(product), x @ weight, atol=1e-12)
    table = rng.normal(size=(layout.head_dim, layout.heads))
    last = layout.zones - 1
    columns = layout.columns(table, last)
    for c, h in itertools.product(range(layout.head_dim), range(layout.heads)):
        assert columns[layout.slot(0, last, c, h)] == table[c, h]
    assert np.count_nonzero(columns) == table.size


def test_indices_and_shapes_outside_are_refused():
    layout = LAYOUTS[0]
    for index in ((8, 0, 0, 0), (-1, 0, 0, 0), (0, 2, 0, 0), (0, 0, 8, 0), (0, 0, 0, 4), (0, 0, 0, -1)):
        with pytest.raises(LayoutError, match="outside"):
            layout.slot(*index)
    for shape in ((9, 32), (8, 31), (32,)):
        with pytest.raises(LayoutError, match="at most 8 rows of 32 features"):
            layout.pack(np.zeros(shape))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": 16}, "must hold head_dim = 8 tokens"),
        ({"tokens": 12, "head_dim": 12}, "powers of two"),
        ({"heads": 9}, "larger ring degree"),
        ({"zones": 5}, "larger ring degree"),
    ],
)
def test_layouts_that_break_what_circuits_rely_on_are_refused(change, message):
    facts = {"slots": 1024, "tokens": 8, "heads": 4, "head_dim": 8, "zones": 2}
    with pytest.raises(LayoutError, match=message):
        TokenMajorLayout(**{**facts, **change})
