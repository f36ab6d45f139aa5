"""The stages against the encoder, which knows the embedding; their rotations and periods."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits.bootstrap.fourier import coefficients_to_slots, ladders, slots_to_coefficients
from aegis_fhe.ckks.encoder import Encoder
from aegis_fhe.errors import ParameterError
from aegis_fhe.program.clear import ClearBackend

MODULI = (2**50 - 27, *[2**40 - 87 * i for i in range(1, 9)])
SCALE = 2.0**40
BITS = [(4,), (2, 2), (1, 3), (3, 1), (1, 1, 2), (1, 1, 1, 1)]


def bit_reversed(values: np.ndarray) -> np.ndarray:
    bits = values.size.bit_length() - 1
    return values[[int(f"{i:0{bits}b}"[::-1], 2) for i in range(values.size)]]


def applied(stages, values: np.ndarray) -> np.ndarray:
    clear = ClearBackend(MODULI, values.size)
    value = clear.encode(values, len(stages), SCALE)
    for stage in stages:
        value = stage.apply(clear, value, *ladders(stage), SCALE)
    assert value.symbol.level == 0
    return value.slots


@pytest.mark.parametrize("bits", BITS)
def test_slots_become_coefficients(bits, rng):
    """What a polynomial of coefficients z_j (real, then imaginary parts), bit-reversed, has in its slots."""
    z = rng.normal(size=16) + 1j * rng.normal(size=16)
    order = bit_reversed(z)
    expected = Encoder(32).decode(np.concatenate([order.real, order.imag]), 1.0).values
    np.testing.assert_allclose(applied(slots_to_coefficients(16, bits), z), expected, atol=1e-12)


@pytest.mark.parametrize("bits", BITS)
def test_and_back(bits, rng):
    z = rng.normal(size=16) + 1j * rng.normal(size=16)
    there = applied(slots_to_coefficients(16, bits), z)
    np.testing.assert_allclose(applied(coefficients_to_slots(16, bits), there), z, atol=1e-13)
    np.testing.assert_allclose(applied(coefficients_to_slots(16, bits, 0.5j), there), 0.5j * z, atol=1e-13)


def test_diagonals_and_periods_of_the_stages():
    """2^(b + 1) - 1 diagonals of a stage of b bits, half of them where the longest rotations meet."""
    for stages in (slots_to_coefficients(512, (3, 3, 3)), coefficients_to_slots(512, (3, 3, 3))[::-1]):
        assert [stage.stride for stage in stages] == [1, 8, 64]
        assert [len(stage.diagonals) for stage in stages] == [15, 15, 8]
        assert [len(next(iter(stage.diagonals.values()))) for stage in stages] == [8, 64, 512]


def test_both_directions_take_the_same_rotations():
    for there, back in zip(
        slots_to_coefficients(512, (4, 5)), coefficients_to_slots(512, (5, 4))[::-1], strict=True
    ):
        assert set(there.diagonals) == set(back.diagonals)
        assert ladders(there) == ladders(back)


@pytest.mark.parametrize("bits", [(), (3,), (5,), (4, 0), (2, 3), (-1, 5)])
def test_stages_that_do_not_make_the_transform_are_refused(bits):
    for make in (slots_to_coefficients, coefficients_to_slots):
        with pytest.raises(ParameterError, match="4 together, are expected"):
            make(16, bits)
