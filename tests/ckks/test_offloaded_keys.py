"""Keys beside a GPU: those that fit stay, the others come from the host before they are asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from aegis_fhe.ckks import EvaluationKeys, Evaluator, KeyRequest
from aegis_fhe.ckks.offloaded_keys import OffloadedKeys
from aegis_fhe.ckks.secret import generate_key
from aegis_fhe.ring.copies import Copies


class Watched(Copies):
    """Which copies began, and which were waited for."""

    def __init__(self, arena):
        super().__init__(arena)
        self.log = []

    def begin(self, tensors):
        name = tensors[0].data_ptr()
        self.log.append(("begin", name))
        arriving = super().begin(tensors)

        def arrived():
            self.log.append(("use", name))
            return arriving()

        return arrived


@pytest.fixture
def keys(client):
    return [generate_key(client.secret, KeyRequest(step, 3)) for step in (1, 2, 5)]


@pytest.fixture
def copies(client):
    return Watched(client.params.ring.arena)


def size(key):
    return 2 * key.b.nbytes


def test_all_stay_where_they_fit_and_are_copies(keys, copies):
    expanded = OffloadedKeys(copies, 5 * size(keys[0]))
    for key in keys * 3:
        halves = expanded.halves(key)
        assert torch.equal(halves.b, key.b)
        assert halves.b is not key.b
        assert torch.equal(halves.a, key.a)
    assert (expanded.expansions, expanded.copies_made, expanded.foreseen) == (3, 3, 0)


def test_the_next_key_is_on_its_way_before_it_is_asked_for(keys, copies):
    expanded = OffloadedKeys(copies, 1)
    for _ in range(3):
        for key in keys:
            halves = expanded.halves(key)
            assert torch.equal(halves.b, key.b)
            assert torch.equal(halves.a, key.a)
    assert expanded.expansions == 3
    assert expanded.foreseen == 5  # not the first round, nor the first key of the second
    first, second, third = (key.b.data_ptr() for key in keys)
    uses = [("use", first), ("use", second), ("use", third)]
    begun = [("begin", second), ("begin", third), ("begin", first)]
    assert copies.log[-6:] == [step for pair in zip(uses, begun, strict=True) for step in pair]


def test_a_key_used_twice_in_a_row_stays_between(keys, copies):
    expanded = OffloadedKeys(copies, 1)
    for key in (keys[0], keys[0], keys[1], keys[1], keys[0], keys[0], keys[1]):
        assert torch.equal(expanded.halves(key).b, key.b)
    assert expanded.copies_made == 5  # 0, 1, 0 and, foreseen, 1 and 0
    assert expanded.foreseen == 1


def test_another_order_than_foreseen_costs_a_copy_and_no_bit(keys, copies):
    expanded = OffloadedKeys(copies, 1)
    for index in (0, 1, 2, 0, 2, 1, 1, 0, 2):
        halves = expanded.halves(keys[index])
        assert torch.equal(halves.b, keys[index].b)
        assert torch.equal(halves.a, keys[index].a)
    assert expanded.expansions == 3


def test_no_more_than_two_keys_pass(client, keys, copies):
    arena = client.params.ring.arena
    expanded = OffloadedKeys(copies, 1)
    for key in keys * 2:
        expanded.halves(key)
    arena.trim()
    arena.reset_peaks()
    before = arena.bytes().in_use
    for key in keys * 3:
        expanded.halves(key)
    assert arena.bytes().peak_in_use - before <= 1.1 * size(keys[0])


def test_results_do_not_depend_on_it(client, rng):
    x = client.encrypt(client.random(rng))
    params = replace(client.params, kernel_path="emulated-gpu")
    keys = client.evaluator.keys
    small = Evaluator(params, EvaluationKeys.collect(params, keys.rotations.values()), expanded_bytes=1)
    for step in (5, 1, 5, 1):
        assert torch.equal(small.rotate(x, step).parts, client.evaluator.rotate(x, step).parts)
    assert small.expanded.expansions == 2
