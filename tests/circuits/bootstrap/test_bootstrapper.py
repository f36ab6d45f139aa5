"""Whole bootstraps of small rings: messages survive, levels come back, and what does not fit is refused."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

from aegis_fhe.circuits.bootstrap import Bootstrapper, PrecisionWarning, SineModulus, presets
from aegis_fhe.circuits.products import multiply
from aegis_fhe.ckks import Evaluator
from aegis_fhe.ckks.secret import encapsulation_keys
from aegis_fhe.errors import (
    CompatibilityError,
    LevelError,
    MissingKeyError,
    ParameterError,
    RangeError,
    ScaleError,
    SecurityError,
)

from .conftest import Owner, complex_uniform, owner_of, worst


@pytest.mark.parametrize("log_degree", [7, 10, 11])
def test_messages_survive(log_degree, rng):
    owner = owner_of(log_degree)
    z = complex_uniform(rng, owner.plan.params.slots)
    x = owner.encrypt(z, owner.plan.input_level)
    refreshed = owner.bootstrapper.refresh(x)
    assert (refreshed.level, refreshed.components) == (owner.plan.output_level, 2)
    assert refreshed.scale == pytest.approx(owner.plan.params.scale, rel=2.0**-40)
    assert owner.plan.levels_left == 3
    assert worst(owner.decrypt(refreshed) - z) < 2.0**-20
    assert worst(owner.decrypt(refreshed) - owner.decrypt(owner.oracle(x))) < 2.0**-20


def test_the_largest_messages_survive(owner):
    """Every part 1 or -1: the coefficients are as large as the sine is fitted for."""
    rng = np.random.default_rng(3)
    z = rng.choice([-1, 1], owner.plan.params.slots) + 1j * rng.choice([-1, 1], owner.plan.params.slots)
    refreshed = owner.bootstrapper.refresh(owner.encrypt(z, owner.plan.input_level))
    assert worst(owner.decrypt(refreshed) - z) < 2.0**-18


def test_two_real_messages_take_one_bootstrap(owner, rng):
    x, y = rng.uniform(-1, 1, (2, owner.plan.params.slots))
    evaluator = owner.bootstrapper.evaluator
    pair = owner.bootstrapper.refresh_pair(
        owner.encrypt(x, owner.plan.input_level), owner.encrypt(y, owner.plan.input_level)
    )
    for found, expected in zip(pair, (x, y), strict=True):
        assert found.level == owner.plan.output_level
        assert worst(owner.decrypt(found) - expected) < 2.0**-20
    both = owner.decrypt(owner.plan.combined(evaluator, pair))
    assert worst(both - (x + 1j * y)) < 2.0**-20


def test_rounds_of_products_and_bootstraps(rng):
    """200 times: x -> x * u with |u| = 1, three levels down, and up again. Errors add, they do not grow.

    Noise as the root of the number of rounds, what the sine leaves out in proportion to it.
    """
    owner = owner_of(7)
    evaluator, plan = owner.bootstrapper.evaluator, owner.plan
    z = complex_uniform(rng, plan.params.slots) / np.sqrt(2)
    x = owner.encrypt(z, plan.output_level)
    errors = []
    for _ in range(200):
        while x.level > plan.input_level:
            u = np.exp(2j * np.pi * rng.uniform(size=plan.params.slots))
            factor = owner.encrypt(u, x.level)
            x, z = multiply(evaluator, x, factor), z * u
        x = owner.bootstrapper.refresh(x)
        errors.append(worst(owner.decrypt(x) - z))
    assert max(errors) < 2.0**-16
    left_out = (np.pi * plan.sine.width) ** 8 / 10
    assert errors[-1] < 4 * np.sqrt(200) * errors[0] + 200 * left_out


@pytest.mark.best_path
def test_a_thousand_random_bootstraps(rng):
    owner = owner_of(6)
    worst_of_all = 0.0
    for _ in range(1000):
        z = complex_uniform(rng, owner.plan.params.slots)
        refreshed = owner.bootstrapper.refresh(owner.encrypt(z, owner.plan.input_level))
        worst_of_all = max(worst_of_all, worst(owner.decrypt(refreshed) - z))
    assert worst_of_all < 2.0**-19


def test_exactly_the_requested_keys_are_enough_and_each_is_needed(owner):
    keys, params = owner.bootstrapper.evaluator.keys, owner.plan.params
    for galois in keys.rotations:
        fewer = {g: key for g, key in keys.rotations.items() if g != galois}
        evaluator = Evaluator(params, dataclasses.replace(keys, rotations=fewer))
        with pytest.raises(MissingKeyError):
            Bootstrapper(owner.plan, evaluator)
    without = dataclasses.replace(keys, relin=None)
    with pytest.raises(MissingKeyError, match="relinearisation"):
        Bootstrapper(owner.plan, Evaluator(params, without))
    without = dataclasses.replace(keys, encapsulation=None)
    with pytest.raises(MissingKeyError, match="the way from the sparse secret"):
        Bootstrapper(owner.plan, Evaluator(params, without))


def test_what_does_not_fit_is_refused_before_the_work(owner: Owner):
    z, refresh, pair = np.ones(8), owner.bootstrapper.refresh, owner.bootstrapper.refresh_pair
    x = owner.encrypt(z, 2)
    for level, cure in ((1, "refresh it earlier"), (3, "drop it first")):
        other = owner.encrypt(z, level)
        for work in (lambda: refresh(other), lambda: pair(x, other), lambda: pair(other, x)):  # noqa: B023
            with pytest.raises(
                LevelError, match=rf"begins at level 2, the ciphertext is at level {level}: {cure}"
            ):
                work()
    other = owner_of(7)
    with pytest.raises(CompatibilityError, match="the ciphertext has 64 slots, the bootstrap 512"):
        refresh(other.encrypt(z, 2))
    evaluator = owner.bootstrapper.evaluator
    with pytest.raises(ScaleError, match=r"takes scale 2\^40\.0000, the ciphertext has 2\^41\.0000"):
        owner.bootstrapper.refresh(evaluator.with_scale(x, 2.0**41))
    with pytest.raises(CompatibilityError, match="relinearize"):
        owner.bootstrapper.refresh(evaluator.with_scale(evaluator.multiply(x, x), x.scale))
    heavy = dataclasses.replace(evaluator.keys, encapsulation=encapsulation_keys(owner.secret, 64))
    with pytest.raises(CompatibilityError, match="64 coefficients overflows more than one of 32"):
        Bootstrapper(owner.plan, Evaluator(owner.plan.params, heavy))
    with pytest.raises(CompatibilityError, match="not those of the bootstrap's plan"):
        Bootstrapper(presets.insecure(9), evaluator)


def test_plans_that_cannot_be_are_refused():
    plan = presets.insecure(8)
    with pytest.raises(ParameterError, match="leaves none of"):
        dataclasses.replace(plan, sine=SineModulus(doublings=9))


def test_facts_of_a_plan():
    plan = presets.insecure(10)
    assert (plan.depth, plan.input_level, plan.output_level, plan.levels_left) == (14, 2, 5, 3)
    assert plan.failure < 2.0**-100
    assert len({request.step for request in plan.key_requests()}) == len(plan.key_requests())


def test_the_preset_is_what_its_table_says():
    """Built at 128 bits, never run here: see the benchmark, and the test at full degree."""
    plan = presets.n16()
    assert plan.params.security_bits == 128
    assert round(plan.params.log_qp) == 1740
    assert (plan.params.slots, plan.levels_left, plan.params.scale) == (1 << 15, 14, 2.0**40)
    assert -106 < np.log2(plan.failure) < -105
    with pytest.raises(SecurityError):
        presets.n16(15)


def test_a_sparse_secret_that_is_too_sparse_is_refused():
    with pytest.raises(SecurityError, match="16 coefficients gives its key about"):
        dataclasses.replace(presets.n16(), weight=16)


def test_the_sender_can_check_what_it_sends(owner):
    owner.plan.check_message(np.array([1.0, -1 + 1j, 0.5j]))
    for values, found in (
        ([0.5, 1.01], "slot 1 holds 1.01"),
        ([0.1 - 2j], "slot 0"),
        ([0, 0, np.nan], "slot 2"),
    ):
        with pytest.raises(RangeError, match=found):
            owner.plan.check_message(values)


def test_larger_messages_than_that_come_out_wrong(owner):
    """What the check is for: beyond the sine's width nothing is promised, and far beyond nothing holds."""
    z = np.full(owner.plan.params.slots, 30.0)
    refreshed = owner.bootstrapper.refresh(owner.encrypt(z, owner.plan.input_level))
    assert worst(owner.decrypt(refreshed) - z) > 1


def test_too_little_precision_is_warned_of_with_the_numbers(owner):
    """Not when enough is predicted, nor when nothing was asked for."""
    evaluator = owner.bootstrapper.evaluator
    with pytest.warns(
        PrecisionWarning, match=r"keeps about 2\d\.\d bits in the worst slot, .* asks for 40\.0"
    ):
        Bootstrapper(owner.plan, evaluator, needed_bits=40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Bootstrapper(owner.plan, evaluator, needed_bits=18)
        Bootstrapper(owner.plan, evaluator)


@pytest.mark.parametrize("period", [8, 64, 256])
def test_few_values_take_shorter_transforms(period, rng):
    """Each value repeated; the same precision, fewer rotations, and slots that stay periodic."""
    few, full = presets.insecure(10, period=period), presets.insecure(10)
    owner = Owner.of(few)
    z = complex_uniform(rng, period)
    refreshed = owner.bootstrapper.refresh(owner.encrypt(z, few.input_level))
    assert worst(owner.decrypt(refreshed) - np.tile(z, few.params.slots // period)) < 2.0**-20
    assert few.counts.ntts(few.params) < full.counts.ntts(full.params)


def test_few_values_in_a_preset():
    few, full = presets.n16_few(), presets.n16()
    assert (few.values, few.levels_left, few.depth) == (256, 14, full.depth - 1)
    assert few.params.security_bits == 128
    assert few.counts.ntts(few.params) < 0.75 * full.counts.ntts(full.params)
    assert len(few.params.digits(few.params.max_level)) == 4


@pytest.mark.parametrize("period", [0, 1, 3, 1024])
def test_values_that_do_not_repeat_are_refused(period):
    with pytest.raises(ParameterError, match="do not repeat in 512 slots"):
        dataclasses.replace(presets.insecure(10), period=period)
