"""The grid layout as a function from slots to tensor indices."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.errors import LayoutError
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.placement import EMPTY, Placement


@pytest.mark.parametrize(
    ("slots", "tokens", "inside", "blocks"),
    [
        (32768, 2048, 2048, 1),
        (32768, 4096, 2048, 2),
        (32768, 2049, 2048, 2),
        (32768, 8, 8, 1),
        (32768, 100, 128, 1),
        (512, 100, 32, 4),
    ],
)
def test_blocks_leave_sixteen_sub_slots(slots, tokens, inside, blocks):
    layout = GridLayout.of(slots, tokens)
    assert (layout.tokens, layout.blocks) == (inside, blocks)
    assert layout.sub_slots == slots // inside >= 16


@pytest.mark.parametrize("tokens", [7, 65537])
def test_other_lengths_are_refused(tokens):
    with pytest.raises(LayoutError, match="8 to 65536"):
        GridLayout.of(32768, tokens)


def test_a_ring_too_small_is_refused():
    with pytest.raises(LayoutError, match="larger ring"):
        GridLayout.of(8, 8)


@pytest.mark.parametrize(
    ("heads", "dim", "kv", "tokens", "columns", "groups", "copies"),
    [
        (12, 64, 12, 2048, 64, 1, 1),  # BERT-base: 4 of 16 sub-slots empty
        (9, 64, 3, 2048, 64, 1, 1),  # SmolLM2-135M
        (32, 128, 8, 2048, 256, 2, 1),  # LLaMA: two groups of heads
        (12, 32, 12, 512, 32, 1, 4),  # MiniLM-L6, 512 tokens: keys folded four times
        (12, 32, 12, 8, 32, 1, 2),  # folding further would cost more than it saves
    ],
)
def test_head_minor_columns(heads, dim, kv, tokens, columns, groups, copies):
    placement = Placement.head_minor(heads, dim, GridLayout.of(32768, tokens), kv)
    assert (placement.columns, placement.groups, placement.key_blocks) == (columns, groups, copies)


def test_head_minor_table_is_what_its_docstring_says():
    heads, dim, kv, sub_slots = 6, 4, 3, 16
    placement = Placement.head_minor(heads, dim, GridLayout.of(512, 32), kv)
    table = placement.table()
    assert table.shape == (dim, sub_slots)
    for c in range(dim):
        for g in range(sub_slots):
            h = g % 8
            assert table[c, g] == ((h // 2) * dim + c if h < heads else EMPTY)


def test_heads_beyond_the_sub_slots_form_groups():
    table = Placement.head_minor(32, 2, GridLayout.of(512, 32)).table()
    assert table.shape == (4, 16)
    np.testing.assert_array_equal(table[2 + 1], (16 + np.arange(16)) * 2 + 1)


def test_heads_must_share_evenly():
    with pytest.raises(LayoutError, match="evenly"):
        Placement.head_minor(9, 8, GridLayout.of(512, 32), 2)


@pytest.mark.parametrize("features", [24, 32, 40])
@pytest.mark.parametrize("rows", [1, 33, 64])
def test_pack_puts_every_number_where_slot_says(features, rows, rng):
    layout, hidden = GridLayout.of(512, 64), rng.normal(size=(rows, features))
    placement = Placement.dense(features, layout.sub_slots)
    grid = placement.pack(hidden, layout)
    assert layout.blocks == 2
    for token in range(rows):
        for feature in range(features):
            column, sub_slot = divmod(feature, layout.sub_slots)
            block, slot = layout.slot(token, sub_slot)
            assert grid[block][column][slot] == hidden[token, feature]
    assert sum(np.count_nonzero(values) for row in grid for values in row) == hidden.size
    unpacked = placement.unpack(grid, layout)
    np.testing.assert_array_equal(unpacked[:rows], hidden)
    assert not unpacked[rows:].any()


def test_head_minor_repeats_shared_features_and_unpacks_them(rng):
    layout, hidden = GridLayout.of(512, 32), rng.normal(size=(32, 8))
    placement = Placement.head_minor(4, 4, layout, 2)
    grid = placement.pack(hidden, layout)
    values = np.array(grid[0]).reshape(4, 32, 4, 4)  # column, token, key block, head
    for head in range(4):
        expected = hidden[:, (head // 2) * 4 : (head // 2) * 4 + 4].T
        np.testing.assert_array_equal(values[..., head], np.repeat(expected[..., None], 4, axis=2))
    np.testing.assert_array_equal(placement.unpack(grid, layout), hidden)


def test_wrong_shapes_and_places_are_refused():
    layout = GridLayout.of(512, 32)
    with pytest.raises(LayoutError, match="at most 32 rows of 24"):
        Placement.dense(24, 16).pack(np.zeros((33, 24)), layout)
    with pytest.raises(LayoutError, match="outside 32 tokens"):
        layout.slot(32, 0)


def test_vectors_on_real_tokens_stay_periodic_where_they_can():
    layout = GridLayout.of(512, 64)
    ones = np.ones(layout.sub_slots)
    assert layout.on_tokens(ones, 0, 40).period == layout.sub_slots
    dense = layout.on_tokens(ones, 1, 40, elsewhere=-1.0).dense(512).reshape(32, -1)
    assert (dense[:8] == 1.0).all()
    assert (dense[8:] == -1.0).all()
