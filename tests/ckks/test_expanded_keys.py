"""Expanded halves stay within their bound, and come back with the same bits."""

from __future__ import annotations

import pytest
import torch

from aegis_fhe.ckks import Evaluator, KeyRequest
from aegis_fhe.ckks.expanded_keys import ExpandedKeys
from aegis_fhe.ckks.secret import generate_key


@pytest.fixture
def keys(client):
    return [generate_key(client.secret, KeyRequest(step, 3)) for step in (1, 2, 5)]


def test_the_first_that_fit_are_kept_and_one_passes(keys):
    first, second, third = keys
    made = 1 if first.halves.b is first.b else 2  # halves of a key
    expanded = ExpandedKeys(2 * made * first.b.nbytes)
    uses = [(first, 1), (second, 2), (second, 2), (first, 2), (third, 3), (first, 3), (second, 4), (third, 5)]
    for key, expansions in uses:
        halves = expanded.halves(key)
        assert halves.b is key.b if made == 1 else torch.equal(halves.b.cpu(), key.b)
        assert torch.equal(halves.a, key.a)
        assert expanded.expansions == expansions


def test_memory_stays_within_the_bound(client, keys):
    arena = client.params.ring.arena
    arena.trim()
    arena.reset_peaks()
    before, expanded = arena.bytes().in_use, ExpandedKeys(keys[0].b.nbytes)
    for key in keys * 3:
        expanded.halves(key)
    assert expanded.expansions == 9
    assert arena.bytes().peak_in_use - before < 1.2 * keys[0].b.nbytes


def test_a_bound_below_one_key_still_serves(client, keys):
    expanded = ExpandedKeys(1)
    assert torch.equal(expanded.halves(keys[0]).a, keys[0].a)
    assert torch.equal(expanded.halves(keys[1]).a, keys[1].a)


def test_results_do_not_depend_on_it(client, rng):
    x = client.encrypt(client.random(rng))
    small = Evaluator(client.params, client.evaluator.keys)
    small.expanded = ExpandedKeys(1)
    for step in (5, 1, 5):
        assert torch.equal(small.rotate(x, step).parts, client.evaluator.rotate(x, step).parts)
    assert small.expanded.expansions == 3
