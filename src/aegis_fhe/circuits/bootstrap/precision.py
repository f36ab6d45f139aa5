"""What a bootstrap does to the noise, stage by stage, predicted."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.bootstrap.bootstrapper import BootstrapPlan
from aegis_fhe.circuits.noise_backend import NoiseBackend, NoiseValue
from aegis_fhe.circuits.slot_noise import SlotNoise
from aegis_fhe.ckks import noise
from aegis_fhe.ckks.encapsulation import narrow_parameters

# Sources of its own: those that the backend counts are small.
_RAISED_SOURCE = 1 << 62


def predict(plan: BootstrapPlan, values: NDArray[np.complex128], *, seed: int = 0) -> dict[str, NoiseValue]:
    """Message and noise after each stage of a bootstrap of fresh slots `values`, by the stage's name.

    "coefficients to slots" and "sine" are those of the real parts. The overflow I is drawn: a rounded sum of
    1 + weight independent uniform numbers. Under the assumptions of `NoiseBackend`; what the sine leaves out
    is in the message, not in the noise.
    """
    params, backend = plan.params, NoiseBackend(plan.params)
    low = plan.low_half(backend, backend.encode(values, plan.input_level, params.scale))
    raised = _raised(plan, low, np.random.default_rng(seed))
    real, imaginary = plan.in_slots(backend, raised)
    reduced = plan.reduced(backend, (real, imaginary))
    return {
        "slots to coefficients": low,
        "modulus raised": raised,
        "coefficients to slots": real,
        "sine": reduced[0],
        "sum of the parts": plan.combined(backend, reduced),
    }


def _raised(plan: BootstrapPlan, low: NoiseValue, rng: np.random.Generator) -> NoiseValue:
    """m + q_0 I: the noise of both key switches, and an I of the right distribution."""
    params, narrow = plan.params, narrow_parameters(plan.params)
    count = plan.weight + 1
    overflow = np.rint(rng.uniform(-0.5, 0.5, (count, params.degree)).sum(axis=0))
    added = params.encoder.decode(overflow * params.q[0], low.scale).values
    # Under the sparse secret the rounding of the first switch weighs 1 + weight, not 1 + 2N / 3.
    first = math.hypot(noise.key_product_noise(narrow, 0), math.sqrt(count * noise.ROUNDING_VARIANCE))
    second = noise.key_switch_noise(params, params.max_level)
    error = SlotNoise.sum([low.error, SlotNoise.of(_RAISED_SOURCE, math.hypot(first, second))])
    return NoiseValue(slots=low.slots + added, level=params.max_level, scale=low.scale, error=error)
