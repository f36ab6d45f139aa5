"""Bootstraps are placed where they are cheapest, and nowhere a value is too low for them."""

from __future__ import annotations

import itertools

import pytest

from aegis_fhe.errors import LevelError
from aegis_fhe.program.long.levels import (
    Cut,
    Fork,
    Join,
    Round,
    Side,
    Spend,
    depth,
    place_chain,
    place_refreshes,
)


def test_the_cheaper_cut_is_taken():
    steps = [Spend(3), Cut("dear", 9), Spend(3), Cut("cheap", 2), Spend(3)]
    plan = place_refreshes(steps, fresh=10, lowest=1)
    assert (plan.refreshed, plan.bootstraps) == ({"cheap"}, 2)
    # Where the whole layer fits into one refresh, it begins as low as it may.
    assert plan.start == 7


def test_a_stretch_too_long_for_the_cheap_cut_takes_the_dear_one():
    steps = [Spend(6), Cut("dear", 9), Spend(5), Cut("cheap", 2), Spend(1)]
    assert place_refreshes(steps, fresh=9, lowest=2).refreshed == {"dear", "cheap"}


def test_a_residual_holds_its_sum_down():
    steps = [Fork(), Spend(4), Cut("inside", 1), Spend(1), Join(), Cut("sum", 5)]
    # Whatever is refreshed inside, the sum is as low as the residual: no start loses less than one level.
    assert place_refreshes(steps, fresh=8, lowest=1).refreshed == {"inside"}
    assert place_refreshes(steps, fresh=8, lowest=1).start <= 7


def test_a_side_branch_is_refreshed_for_less():
    steps = [Side("aside", 1, before=2, after=5), Spend(2), Cut("all", 20)]
    plan = place_refreshes(steps, fresh=12, lowest=2)
    assert plan.refreshed == {"all"}
    plan = place_refreshes(steps, fresh=10, lowest=2)
    assert plan.refreshed == {"aside", "all"}


def test_no_choice_is_refused():
    with pytest.raises(LevelError, match="no choice of bootstraps"):
        place_refreshes([Spend(9), Cut("late", 1)], fresh=9, lowest=1)


def test_the_cheapest_of_all_choices():
    """Against every subset of the cuts, tried one by one."""
    costs = (5, 3, 8, 2, 6)
    spends = (2, 4, 1, 3, 5)
    steps = [step for i in range(5) for step in (Spend(spends[i]), Cut(str(i), costs[i]))]
    for fresh in range(7, 14):
        found = [
            sum(costs[i] for i in subset)
            for size in range(6)
            for subset in itertools.combinations(range(5), size)
            if _periodic(subset, spends, fresh)
        ]
        assert place_refreshes(steps, fresh=fresh, lowest=2).bootstraps == min(found)


def _periodic(subset: tuple[int, ...], spends: tuple[int, ...], fresh: int) -> bool:
    """Whether some start level survives the layer with these cuts refreshed."""
    for start in range(fresh + 1):
        level = start
        for i, spend in enumerate(spends):
            level -= spend
            if level < (2 if i in subset else 0):
                break
            level = fresh if i in subset else level
        else:
            if level >= start:
                return True
    return False


def test_a_round_s_factor_is_refreshed_aside():
    """Its own sums are too low for 1/D to meet what they were made of: one bootstrap instead of twenty."""
    square = Round("sums", 1, masked=True, before=1, after=5)
    plan = place_refreshes([Spend(2), square, Spend(1), Cut("all", 20)], fresh=14, lowest=2)
    assert plan.refreshed == {"all"}  # 14 - 2 = 12, its factor at 5, their square at 3
    plan = place_refreshes([Spend(6), square, Spend(2), Cut("all", 20)], fresh=14, lowest=2)
    assert plan.refreshed == {"sums", "all"}  # 14 - 6 = 8, its factor at 9, the square at 6
    with pytest.raises(LevelError, match="no choice of bootstraps"):
        place_refreshes([Spend(11), square, Cut("all", 20)], fresh=14, lowest=2)


def test_depth_of_a_round():
    """Masked sums, 1/D and two products; or, where 1/D is shallow, the mask and two products."""
    assert depth([Round("s", 1, masked=True, before=1, after=5)]) == 1 + 1 + 5 + 2
    assert depth([Round("s", 1, masked=False, before=1, after=5)]) == 1 + 5 + 2


def test_depth_without_bootstraps():
    """The longest way through: the side branch counts where it is longer than the value beside it."""
    assert depth([Spend(2), Side("s", 1, before=2, after=3), Spend(1)]) == 2 + 5 + 1 + 1
    assert depth([Fork(), Spend(2), Join(), Cut("c", 1)]) == 2


def test_a_chain_of_layers_shares_what_a_refresh_leaves():
    """Alone, each layer takes 3 bootstraps to end where it began; four in a row take 3 in the second one."""
    layer = [Spend(2), Cut("inside", 3), Spend(2)]
    alone = place_refreshes(layer, fresh=10, lowest=1)
    assert alone.bootstraps == 3
    chain = place_chain([layer] * 4, fresh=10, lowest=1)
    assert [plan.bootstraps for plan in chain] == [0, 3, 0, 0]
    assert [plan.start for plan in chain] == [10, 6, 8, 4]


def test_the_cheapest_of_all_chains():
    """Against every subset of all layers' cuts, tried one by one."""
    layers = [
        [Spend(a), Cut("x", b), Spend(c), Cut("y", d)]
        for a, b, c, d in [(2, 5, 4, 3), (1, 8, 3, 2), (5, 6, 2, 1)]
    ]
    flat = [step for layer in layers for step in layer]
    spends = [step.levels for step in flat if isinstance(step, Spend)]
    costs = [step.bootstraps for step in flat if isinstance(step, Cut)]
    for fresh in range(7, 14):
        found = [
            sum(costs[i] for i in subset)
            for size in range(7)
            for subset in itertools.combinations(range(6), size)
            if _carried(subset, spends, fresh)
        ]
        plans = place_chain(layers, fresh=fresh, lowest=2)
        assert sum(plan.bootstraps for plan in plans) == min(found)
        assert sum(plan.bootstraps for plan in plans) <= sum(
            place_refreshes(layer, fresh=fresh, lowest=2).bootstraps for layer in layers
        )


def _carried(subset: tuple[int, ...], spends: list[int], fresh: int) -> bool:
    level = fresh
    for i, spend in enumerate(spends):
        level -= spend
        if level < (2 if i in subset else 0):
            return False
        level = fresh if i in subset else level
    return True


def test_a_chain_refreshes_a_round_s_factor_only_where_it_is_low():
    """The second layer's sums lie six levels lower: one bootstrap aside there, none in the first."""
    layer = [Spend(1), Round("sums", 1, masked=False, before=1, after=2), Spend(1)]
    plans = place_chain([layer] * 2, fresh=12, lowest=2)
    # 12 - 1 = 11, its factor at 8, their square at 6; again 5 - 1 - 3 - 2 < 0, with a fresh factor 4 - 2.
    assert [plan.start for plan in plans] == [12, 5]
    assert [plan.refreshed for plan in plans] == [frozenset(), {"sums"}]


def test_a_chain_that_no_choice_carries_names_its_layer():
    with pytest.raises(LevelError, match="layer 1: a refreshed value"):
        place_chain([[Spend(3), Cut("all", 1)], [Spend(11)]], fresh=10, lowest=1)
