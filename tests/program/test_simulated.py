"""Simulated noise has the size of real noise, and its results are of a type of their own."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.program.results import ClearResult, SimulatedResult
from program.tiny import tiny_program

from .encoder.test_encoder import run_encrypted
from .encoder.tiny_encoder import texts, tiny_encoder


def test_noise_of_a_whole_encoder_is_that_of_ciphertexts():
    """Bootstraps included; root mean squares within a factor of 2: one secret against three draws."""
    _, program = tiny_encoder(16)
    hidden = texts(3, 16, seed=16)[0]
    clear = program.run_clear(hidden).hidden
    encrypted = run_encrypted(program, hidden) - clear
    simulated = [program.run_simulated(hidden, seed=seed).hidden - clear for seed in range(3)]
    ratio = np.sqrt(np.mean(np.square(simulated)) / np.mean(np.square(encrypted)))
    assert 1 / 2 < ratio < 2


def test_results_have_their_own_types_and_seeds_their_own_noise():
    _, hidden, program = tiny_program(16, 10)
    clear, first, second = (
        program.run_clear(hidden),
        program.run_simulated(hidden, seed=1),
        program.run_simulated(hidden, seed=2),
    )
    assert type(clear) is ClearResult
    assert type(first) is SimulatedResult
    assert not np.array_equal(first.hidden, second.hidden)
    np.testing.assert_array_equal(first.hidden, program.run_simulated(hidden, seed=1).hidden)
    assert np.abs(first.hidden - clear.hidden).max() == pytest.approx(0, abs=1e-4)
