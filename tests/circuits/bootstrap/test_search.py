"""The search: its predictions against a bootstrap that was run, and that what it keeps is not beaten."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits.bootstrap import presets, search

from .conftest import Owner, complex_uniform, worst


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "COSINES", ((30, 3),))
    monkeypatch.setattr(search, "ARCSINES", ((1, -10.0), (3, -7.0), (7, -4.2), (7, -10.0)))


def test_what_is_kept_is_not_beaten(few):
    found = list(search.candidates(9, 2, insecure=True))
    kept = search.search(9, 2, insecure=True)
    assert len(found) == 2 * 2 * 4
    assert 1 <= len(kept) < len(found)
    assert [one.ntts for one in kept] == sorted(one.ntts for one in kept)
    # Slower is more precise, or has smaller keys.
    assert not any(a.beats(b) for a in kept for b in kept)
    keys = [(one.ntts, one.worst_bits, one.key_bytes) for one in kept]
    for one in found:
        assert (one.ntts, one.worst_bits, one.key_bytes) in keys or any(k.beats(one) for k in kept)
    assert all(one.plan.levels_left == 2 for one in found)


@pytest.mark.parametrize(("arcsine_degree", "log_width"), [(1, -8.0), (3, -7.0), (7, -4.2)])
def test_precision_is_the_predicted_one(arcsine_degree, log_width):
    """Within a bit: where the sine's error rules, and where noise does."""
    sine = presets.SineModulus(width=2.0**log_width, arcsine_degree=arcsine_degree)
    made = presets.plan(10, 2, to_coefficients=(5, 4), to_slots=(3, 3, 3), sine=sine, insecure=True)
    owner, rng = Owner.of(made), np.random.default_rng(3)
    errors = []
    for _ in range(3):
        z = complex_uniform(rng, made.params.slots)
        errors.append(
            worst(owner.decrypt(owner.bootstrapper.refresh(owner.encrypt(z, made.input_level))) - z)
        )
    predicted = search.assess(made)
    assert abs(-np.log2(max(errors)) - predicted.worst_bits) < 1
    assert predicted.key_bytes > sum(
        2 * key.b.nbytes for key in owner.bootstrapper.evaluator.keys.rotations.values()
    )


def test_no_room_is_no_plan(few):
    assert search.search(13, 14) == []


def test_bits_are_shared_out(few):
    assert [presets.split(15, n) for n in (2, 3, 4)] == [(8, 7), (5, 5, 5), (4, 4, 4, 3)]
