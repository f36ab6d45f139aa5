"""Ladders make exactly the rotations asked for from few keys; sums of rotations add all subset sums."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from aegis_fhe.circuits.rotations import RotationLadder, sum_of_rotations
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks import KeyRequest

SCALE = 2.0**40


@pytest.mark.parametrize("indices", [range(8), range(-7, 8), [5, -3, 5, 0], [-8], [0]])
@pytest.mark.parametrize("bases", [(), (1,), (2,), (4,), (2, 2), (3, 2), (2, 1, 4)])
def test_ladder_yields_exactly_the_rotations(bases, indices, clear, rng):
    """Each unit a multiple of the next: a plain rotation by index * 3."""
    units = tuple(3 * math.prod(bases[k:]) for k in range(len(bases) + 1))
    ladder = RotationLadder(units, bases)
    x = rng.normal(size=clear.slots)
    made = list(ladder.rotations(clear, clear.encode(x, 2, SCALE), indices))
    assert [index for index, _ in made] == sorted(set(indices))
    for index, value in made:
        assert ladder.step(index) == 3 * index
        np.testing.assert_array_equal(value.slots, np.roll(x, -3 * index))


def test_ladder_units_may_differ(clear, rng):
    """The coarse unit need not be a multiple of the fine one: 7 a + 2 b."""
    ladder = RotationLadder((7, 2), (4,))
    x = rng.normal(size=clear.slots)
    for index, value in ladder.rotations(clear, clear.encode(x, 2, SCALE), range(-8, 8)):
        a, b = divmod(index, 4)
        np.testing.assert_array_equal(value.slots, np.roll(x, -(7 * a + 2 * b)))


def test_keys_and_rotations_of_a_ladder():
    """32 indices from 3 fine, 1 middle, 3 coarse keys; a rotation for each but 0, 1 + 4 + 8 ModUps."""
    backend = SymbolicBackend([2**50, 2**40], 1024)
    ladder = RotationLadder((80, 40, 10), (2, 4))
    list(ladder.rotations(backend, Symbol(1, SCALE), range(32)))
    assert set(backend.counts.keys) == {10, 20, 30} | {40} | {80 * a for a in range(1, 4)}
    assert backend.counts.totals() == {"rotation": 31, "mod up": 13}


@pytest.mark.parametrize("bases", [(), (2,), (4,), (2, 2)])
@pytest.mark.parametrize("indices", [range(-4, 4), [0], [3], [-2, 1, 5]])
def test_ladder_sums_what_it_rotates(bases, indices, clear, rng):
    """sum_i rot(x_i, 5 i), one level lower; the keys of its digits, a ModDown for each sum that moves."""
    ladder = RotationLadder(tuple(5 * math.prod(bases[k:]) for k in range(len(bases) + 1)), bases)
    xs = {i: rng.normal(size=clear.slots) for i in indices}
    result = ladder.sum_rescale(clear, {i: clear.encode(x, 2, SCALE) for i, x in xs.items()})
    expected = sum(np.roll(x, -5 * i) for i, x in xs.items())
    np.testing.assert_allclose(result.slots, expected, atol=1e-12)
    assert (result.symbol.level, result.symbol.scale) == (1, SCALE / clear.moduli[2])
    counts = clear.symbolic.counts
    digits = [ladder.digits(i) for i in indices]
    keys = {unit * d[k] % clear.slots for d in digits for k, unit in enumerate(ladder.units)} - {0}
    assert set(counts.keys) == keys
    sums = {d[:k] for d in digits for k in range(len(d)) if d[k]}
    assert counts.total("mod down") == len(sums)


def test_sum_of_rotations_is_the_sum_over_subset_sums(clear, rng):
    x, steps = rng.normal(size=clear.slots), (1, 2, 4, -16)
    subsets = itertools.chain.from_iterable(itertools.combinations(steps, n) for n in range(5))
    expected = sum(np.roll(x, -sum(subset)) for subset in subsets)
    result = sum_of_rotations(clear, clear.encode(x, 2, SCALE), steps)
    np.testing.assert_allclose(result.slots, expected, atol=1e-12)
    assert (result.symbol.level, result.symbol.scale) == (2, SCALE)


def test_encrypted_ladder_and_sum(client, rng):
    evaluator = client.evaluator([KeyRequest(step, 1) for step in (5, -10, 10, 1)])
    x = rng.normal(size=client.params.slots)
    value = client.encrypt(x, 1)
    ladder = RotationLadder((10, 5), (2,))
    for index, rotated in ladder.rotations(evaluator, value, [-1, 0, 1, 3]):
        assert np.abs(client.decrypt(rotated) - np.roll(x, -5 * index)).max() < 2.0**-20
    total = client.decrypt(sum_of_rotations(evaluator, value, (1, 5)))
    expected = x + np.roll(x, -1) + np.roll(x, -5) + np.roll(x, -6)
    assert np.abs(total - expected).max() < 2.0**-20
