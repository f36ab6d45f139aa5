"""What a bootstrap does to the noise, stage by stage, predicted."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.bootstrap.presets import plan as plan_of
from aegis_fhe.circuits.bootstrap.presets import split
from aegis_fhe.circuits.bootstrap.sine import SineModulus
from aegis_fhe.circuits.noise_backend import NoiseBackend, NoiseValue
from aegis_fhe.ckks import noise

SMALL = 9  # log2 of the degree at which a whole bootstrap's noise is predicted; it grows with N


def predict(plan: BootstrapPlan, values: NDArray[np.complex128], *, seed: int = 0) -> dict[str, NoiseValue]:
    """Message and noise after each stage of a bootstrap of fresh slots `values`, by the stage's name.

    "coefficients to slots" and "sine" are those of the real parts. The overflow I is drawn: a rounded sum of
    1 + weight independent uniform numbers. Under the assumptions of `NoiseBackend`; what the sine leaves out
    is in the message, not in the noise.
    """
    params = plan.params
    backend = NoiseBackend(params, sparse_weight=plan.weight, overflow_seed=seed)
    low = plan.low_half(backend, backend.encode(values, plan.input_level, params.scale))
    raised = backend.raise_modulus(low)
    real, imaginary = plan.in_slots(backend, raised)
    reduced = plan.reduced(backend, (real, imaginary))
    return {
        "slots to coefficients": low,
        "modulus raised": raised,
        "coefficients to slots": real,
        "sine": reduced[0],
        "sum of the parts": plan.combined(backend, reduced),
    }


def predicted_bits(plan: BootstrapPlan) -> float:
    """-log2 of the largest error of a part of a slot: noise, and what the sine leaves out.

    The noise is that of a small ring with as many stages and the same sine; a coefficient's grows with the
    root of N, as rounding errors times a uniform secret do.
    """
    params = plan.params
    stages = len(plan.to_coefficients), len(plan.to_slots)
    small = _small_noise(*stages, plan.sine, round(math.log2(params.scale)))
    std = small * math.sqrt(2.0 ** (params.log_degree - SMALL))
    error = noise.worst_slot_error(params, std, params.scale, failure=0.5) / math.sqrt(2) + plan.sine.error()
    return noise.precision_bits(error)


@lru_cache(maxsize=256)
def _small_noise(low: int, high: int, sine: SineModulus, level_bits: int) -> float:
    """Standard deviation of the result's coefficients at the small degree."""
    bits = SMALL - 1
    stages = split(bits, low), split(bits, high)
    small = plan_of(
        SMALL,
        1,
        to_coefficients=stages[0],
        to_slots=stages[1],
        sine=sine,
        level_bits=level_bits,
        insecure=True,
    )
    rng = np.random.default_rng(1)
    values = rng.uniform(-1, 1, small.params.slots) + 1j * rng.uniform(-1, 1, small.params.slots)
    return predict(small, values)["sum of the parts"].noise
