"""Predicted noise of a bootstrap against the measured one, at its end and where its halves meet."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits.bootstrap import SineModulus, presets
from aegis_fhe.circuits.bootstrap.precision import predict
from aegis_fhe.ckks import noise

from .conftest import Owner, complex_uniform, worst


def rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.abs(errors) ** 2)))


def predicted_rms(owner: Owner, value) -> float:
    """Of the complex error of a slot."""
    return np.sqrt(2) * noise.slot_std(owner.plan.params, value.noise, value.scale)


@pytest.fixture(scope="module")
def exact() -> Owner:
    """A cosine fitted so well that its error, which differs from overflow to overflow, is below the noise."""
    sine = SineModulus(width=2.0**-4.5, degree=38, arcsine_degree=7)
    plan = presets.plan(10, 3, to_coefficients=(5, 4), to_slots=(3, 3, 3), sine=sine, insecure=True)
    return Owner.of(plan)


def test_noise_of_a_bootstrap_is_the_predicted_one(exact):
    """From both sides, in four bootstraps under one secret; the first half to 1/16, all of it to 1/8."""
    plan, evaluator, rng = exact.plan, exact.bootstrapper.evaluator, np.random.default_rng(11)
    ratios: dict[str, list[float]] = {"slots to coefficients": [], "sum of the parts": []}
    for trial in range(4):
        z = complex_uniform(rng, plan.params.slots)
        x, stages = exact.encrypt(z, plan.input_level), predict(plan, z, seed=trial)
        found = {
            "slots to coefficients": plan.low_half(evaluator, x),
            "sum of the parts": exact.bootstrapper.refresh(x),
        }
        for name, value in found.items():
            errors = exact.decrypt(value) - stages[name].slots
            ratios[name].append(rms(errors) / predicted_rms(exact, stages[name]))
        assert worst(stages["sum of the parts"].slots - z) < (np.pi * plan.sine.width) ** 8 / 5
    assert abs(rms(np.array(ratios["slots to coefficients"])) - 1) < 1 / 16
    assert abs(rms(np.array(ratios["sum of the parts"])) - 1) < 1 / 8
