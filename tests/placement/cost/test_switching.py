"""Kernels of a key switch on each device: the formulas of the literature, exactly, and uneven shares."""

from __future__ import annotations

import pytest

from aegis_fhe.errors import LevelError, ParameterError
from aegis_fhe.placement.cost import Chain, OperationCosts, load_device
from aegis_fhe.placement.limbs import LimbPlacement

N = 1 << 16
CHAINS = [(35, 4, 10), (20, 4, 6), (30, 8, 4), (12, 8, 2), (32, 8, 4), (24, 6, 4)]
WHOLE = ("mod up", "accumulated rotation", "mod down")


def chain_of(limbs, specials, digits, strided=True):
    if strided:
        return Chain.strided(N, limbs, specials, digits)
    return Chain.in_runs(N, limbs, specials, -(-limbs // digits))


def switched(costs, level, rank, *, aggregated=False):
    """All steps of a sum of rotations of one ciphertext, of one term: one whole key switch."""
    found = [costs.kernels(name, level, rank, aggregated=aggregated) for name in WHOLE]
    return found[0] + found[1] + found[2]


def costs_on(chain, world, **choices):
    place = LimbPlacement(world_size=world, limbs=chain.limbs, specials=chain.specials, **choices)
    return OperationCosts(chain, load_device("h100"), place)


@pytest.mark.parametrize(("limbs", "specials", "digits"), CHAINS)
@pytest.mark.parametrize("strided", [False, True])
def test_one_device(limbs, specials, digits, strided):
    """(dnum + 2)(l + k) NTTs; l(l + k - alpha) + 2 k l conversion multiply-adds where digits are even."""
    chain = chain_of(limbs, specials, digits, strided)
    rows, sizes = limbs + specials, [len(digit) for digit in chain.digits]
    found = switched(OperationCosts(chain, load_device("h100")), limbs - 1, 0)
    assert found.transforms == (len(sizes) + 2) * rows
    assert found.inverse_ntt == limbs + 2 * specials
    assert found.conversion_product == sum(a * (rows - a) for a in sizes) + 2 * specials * limbs
    if limbs % digits == 0:
        alpha = limbs // digits
        assert found.conversion_product == limbs * (rows - alpha) + 2 * specials * limbs
    assert found.key_product == 2 * len(sizes) * rows
    assert found.key_row == 2 * rows


@pytest.mark.parametrize(("limbs", "specials", "digits"), [(20, 4, 4), (32, 8, 4), (24, 6, 4), (12, 8, 2)])
@pytest.mark.parametrize("world", [2, 4])
def test_several_devices(limbs, specials, digits, world):
    """Prior art, table 3.2, where devices divide all of it: input broadcast with special limbs replicated
    (dnum + 2)(l/G + k), split (dnum + 2)(l + k)/G; output aggregation rounded first dnum (l + k)/G +
    2 (l + k), exact (dnum + 2)(l + k)/G."""
    chain, level, rows = chain_of(limbs, specials, digits), limbs - 1, limbs + specials
    broadcast = costs_on(chain, world)
    split = costs_on(chain, world, placed="split")
    for rank in range(world):
        found = switched(broadcast, level, rank)
        assert found.transforms == (digits + 2) * (limbs / world + specials)
        alpha, own = limbs / digits, limbs / world
        if digits % world == 0:  # the limbs of a digit are all on one device
            converted = limbs * (own + specials) - alpha * own
            assert found.conversion_product == converted + 2 * specials * own
        if specials % world == 0:
            assert switched(split, level, rank).transforms == (digits + 2) * rows / world
    if digits % world or specials % world:
        return
    for kind, expected in (
        ("rounded", digits * rows / world + 2 * rows),
        ("exact", (digits + 2) * rows / world),
    ):
        summed = costs_on(chain, world, aggregation=kind, digits=digits)
        for rank in range(world):
            found = switched(summed, level, rank, aggregated=True)
            assert found.transforms == expected
            assert found.key_product == 2 * digits * rows / world


@pytest.mark.parametrize(("limbs", "specials", "digits"), CHAINS)
@pytest.mark.parametrize("placed", ["replicated", "split"])
def test_more_devices_never_take_more_transforms_each(limbs, specials, digits, placed):
    chain = chain_of(limbs, specials, digits)
    for level in (0, 1, limbs // 2, limbs - 1):
        most = [
            max(
                switched(costs_on(chain, world, placed=placed), level, rank).transforms
                for rank in range(world)
            )
            for world in range(1, 9)
        ]
        assert most == sorted(most, reverse=True)


def test_split_work_is_the_work_of_one_device():
    """Nothing is computed twice: uneven shares of a key switch and a rescale add up to one device's NTTs."""
    chain = chain_of(13, 5, 3)
    alone = OperationCosts(chain, load_device("h100"))
    for world in (2, 3, 5, 8):
        costs = costs_on(chain, world, placed="split")
        for level in range(1, 13):
            for name in ("key switch", "rotation", "rescale", "product", "add", "scalar product"):
                parts = [costs.kernels(name, level, rank) for rank in range(world)]
                one = alone.kernels(name, level)
                assert sum(part.transforms for part in parts) == one.transforms
                for kernel in ("key_product", "tensor_product", "addition", "conversion_product"):
                    assert sum(getattr(part, kernel) for part in parts) == getattr(one, kernel)


def test_a_device_without_limbs():
    """Level 1 on four devices: replicated special limbs are still extended, but nothing is divided."""
    chain = chain_of(12, 4, 4)
    costs = costs_on(chain, 4)
    assert costs.kernels("mod down", 1, 3).transforms == 0
    assert costs.kernels("mod up", 1, 3).ntt == 2 * 4  # two digits to four special limbs
    assert costs.kernels("rescale", 1, 1).inverse_ntt == 2  # it holds limb 1
    assert costs.kernels("rescale", 1, 0).inverse_ntt == 0
    split = costs_on(chain, 4, placed="split")
    assert split.kernels("mod down", 1, 3).inverse_ntt == 2  # of its own special limb, for the others


def test_levels_and_placements_that_do_not_fit():
    chain = chain_of(12, 4, 4)
    with pytest.raises(LevelError, match="levels 0 to 11"):
        OperationCosts(chain, load_device("h100")).kernels("add", 12)
    other = LimbPlacement(world_size=2, limbs=11, specials=4)
    with pytest.raises(ParameterError, match="11 \\+ 4 limbs"):
        OperationCosts(chain, load_device("h100"), other).kernels("add", 3)
    with pytest.raises(ParameterError, match="share out"):
        Chain(degree=N, limbs=3, specials=1, digits=((0, 1),))
    with pytest.raises(ParameterError, match="power of two"):
        Chain(degree=1000, limbs=1, specials=1, digits=((0,),))
    with pytest.raises(ParameterError, match="special limb"):
        Chain(degree=N, limbs=1, specials=0, digits=((0,),))
