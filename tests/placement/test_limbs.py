"""Rows that cross between devices which share limbs: formulas where they are even, exact counts."""

from __future__ import annotations

import pytest

from aegis_fhe.errors import ParameterError
from aegis_fhe.placement.limbs import LimbPlacement, rows_received

LIMB_MIB = 0.5  # N = 2^16, 8 bytes


def placement(limbs: int, specials: int, world: int, **choices) -> LimbPlacement:
    return LimbPlacement(world_size=world, limbs=limbs, specials=specials, **choices)


def mean_mib(place: LimbPlacement, moves, components: int) -> float:
    rows = sum(rows_received(moves, place.world_size))
    return components * rows / place.world_size * LIMB_MIB


@pytest.mark.parametrize(
    ("limbs", "specials", "digits", "world", "broadcast", "split", "rounded", "exact"),
    [
        # prior art, table 3.4, words of 8 bytes: input broadcast, specials split, both aggregations
        (20, 4, 6, 2, 5.0, 7.0, 10.0, 14.0),
        (20, 4, 8, 4, 7.5, 10.5, 15.0, 21.0),
        (12, 8, 2, 2, 3.0, 7.0, 6.0, 14.0),
        (12, 8, 4, 4, 4.5, 10.5, 9.0, 21.0),
        (32, 8, 4, 4, 12.0, 18.0, 24.0, 36.0),
    ],
)
def test_a_key_switch_moves_what_the_formulas_say(
    limbs, specials, digits, world, broadcast, split, rounded, exact
):
    level = limbs - 1
    whole = placement(limbs, specials, world)
    assert mean_mib(whole, whole.gather(level), 1) == broadcast
    assert whole.gather_specials(level) == ()
    shared = placement(limbs, specials, world, placed="split")
    moved = mean_mib(shared, shared.gather(level), 1) + mean_mib(shared, shared.gather_specials(level), 2)
    assert moved == split
    summed = placement(limbs, specials, world, aggregation="exact", digits=digits)
    assert mean_mib(summed, summed.scatter(level, extended=False), 2) == rounded
    extended = mean_mib(summed, summed.scatter(level, extended=True), 2)
    assert extended + mean_mib(summed, summed.gather_sums(level), 2) == exact


def test_uneven_shares_are_counted_one_by_one():
    """30 limbs on 4 devices are 8, 8, 7 and 7."""
    place = placement(30, 8, 4)
    assert [len(place.q_limbs(29, rank)) for rank in range(4)] == [8, 8, 7, 7]
    assert rows_received(place.gather(29), 4) == [22, 22, 23, 23]
    # A rescale at level 29: limb 29 lies on device 1, which receives nothing.
    assert rows_received(place.drop(29), 4) == [1, 0, 1, 1]
    # At level 2 device 3 has no limb: it needs none where special limbs are split and it owns none of them.
    low = placement(30, 1, 4, placed="split")
    assert low.owner(30) == 3
    lower = placement(30, 0, 4, placed="split")
    assert rows_received(lower.gather(2), 4) == [2, 2, 2, 0]
    assert rows_received(lower.drop(1), 4) == [1, 0, 0, 0]


@pytest.mark.parametrize("world", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("placed", ["replicated", "split"])
def test_every_limb_lies_somewhere_and_reaches_everyone(world, placed):
    place = placement(7, 3, world, placed=placed)
    ranks = range(world)
    for level in range(7):
        held = sorted(limb for rank in ranks for limb in place.q_limbs(level, rank))
        assert held == list(range(level + 1))
        for rank in ranks:
            got = set(place.q_limbs(level, rank))
            got |= {x for move in place.gather(level) if move.destination == rank for x in move.limbs}
            needs = place.q_limbs(level, rank) or place.p_limbs(rank)
            assert not needs or got == set(range(level + 1))
    assert sorted(limb for rank in ranks for limb in place.own_specials(rank)) == [7, 8, 9]


def test_sums_are_aggregated_where_that_moves_less():
    """r gathers of 9 rows against two components of 9 rows each: from three terms on (section 3.3)."""
    place = placement(12, 8, 4, aggregation="rounded", digits=4)
    assert [place.aggregates(sources, 11) for sources in (1, 2, 3)] == [False, False, True]
    exact = placement(12, 8, 4, aggregation="exact", digits=4)
    assert [place_.aggregates(4, 11) for place_ in (exact, place)] == [False, True]
    assert exact.aggregates(5, 11)
    assert not placement(12, 8, 1, aggregation="exact", digits=4).aggregates(99, 11)


def test_what_cannot_be_is_refused():
    with pytest.raises(ParameterError, match="whole digits"):
        placement(12, 8, 4, aggregation="exact", digits=6)
    with pytest.raises(ParameterError, match="at least one"):
        placement(12, 8, 0)
