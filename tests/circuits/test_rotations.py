"""Ladders make exactly the rotations asked for from few keys; sums of rotations add all subset sums."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aegis_fhe.circuits import RotationLadder
from aegis_fhe.circuits.rotations import sum_of_rotations
from aegis_fhe.ckks import KeyRequest
from aegis_fhe.program.symbolic import Symbol, SymbolicBackend

SCALE = 2.0**40


@pytest.mark.parametrize("indices", [range(8), range(-7, 8), [5, -3, 5, 0], [-8], [0]])
@pytest.mark.parametrize("base", [1, 2, 4])
def test_ladder_yields_exactly_the_rotations(base, indices, clear, rng):
    """coarse_unit = base * fine_unit: a plain rotation by index * 3."""
    ladder = RotationLadder(coarse_unit=3 * base, fine_unit=3, base=base)
    x = rng.normal(size=clear.slots)
    made = list(ladder.rotations(clear, clear.encode(x, 2, SCALE), indices))
    assert [index for index, _ in made] == sorted(set(indices))
    for index, value in made:
        assert ladder.step(index) == 3 * index
        np.testing.assert_array_equal(value.slots, np.roll(x, -3 * index))


def test_ladder_units_may_differ(clear, rng):
    """The coarse unit need not be a multiple of the fine one: 7 a + 2 b."""
    ladder = RotationLadder(coarse_unit=7, fine_unit=2, base=4)
    x = rng.normal(size=clear.slots)
    for index, value in ladder.rotations(clear, clear.encode(x, 2, SCALE), range(-8, 8)):
        a, b = divmod(index, 4)
        np.testing.assert_array_equal(value.slots, np.roll(x, -(7 * a + 2 * b)))


def test_keys_and_rotations_of_a_ladder():
    """32 indices from 3 fine and 7 coarse keys; one rotation for each index that is not 0, 1 + 8 ModUps."""
    backend = SymbolicBackend([2**50, 2**40], 1024)
    ladder = RotationLadder(coarse_unit=40, fine_unit=10, base=4)
    list(ladder.rotations(backend, Symbol(1, SCALE), range(32)))
    assert set(backend.counts.keys) == {10, 20, 30} | {40 * a for a in range(1, 8)}
    assert backend.counts.totals() == {"rotation": 31, "mod up": 9}


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
    ladder = RotationLadder(coarse_unit=10, fine_unit=5, base=2)
    for index, rotated in ladder.rotations(evaluator, value, [-1, 0, 1, 3]):
        assert np.abs(client.decrypt(rotated) - np.roll(x, -5 * index)).max() < 2.0**-20
    total = client.decrypt(sum_of_rotations(evaluator, value, (1, 5)))
    expected = x + np.roll(x, -1) + np.roll(x, -5) + np.roll(x, -6)
    assert np.abs(total - expected).max() < 2.0**-20
