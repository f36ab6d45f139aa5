"""How noisy an encoder's program is, as the one number that its simulation on whole texts needs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.encoder.simulate import SimulatedEncoder
from aegis_fhe.program.simulate.noise import Noise

Array = NDArray[np.float64]

# The result's deviation is linear in the noise: any small noise measures the ratio.
_TRIAL_BITS, _DRAWS = 30.0, 8


def noise_bits(
    program: CompiledProgram, simulated: SimulatedEncoder, hidden: Array, *, seed: int = 0
) -> float:
    """Bits below a value's bound at which `simulated` is as noisy as `run_simulated` on this text.

    Compared is the root mean square of what noise does to the result; one run on slots for it, one without
    noise. Bootstraps make most of it, and a slot holds any value over its bound, so one number fits all.
    """
    expected = program.run_simulated(hidden, seed=seed).values - program.run_clear(hidden).values
    rng = np.random.default_rng(seed)
    quiet = simulated(hidden, Noise(math.inf, rng))
    found = np.stack([simulated(hidden, Noise(_TRIAL_BITS, rng)) - quiet for _ in range(_DRAWS)])
    return _TRIAL_BITS - math.log2(_root_mean_square(expected) / _root_mean_square(found))


def _root_mean_square(x: Array) -> float:
    return math.sqrt(float(np.mean(np.square(x))))
