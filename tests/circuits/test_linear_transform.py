"""Linear transforms with periodic diagonals against numpy, in the clear and encrypted."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits.linear_transform import PeriodicTransform
from aegis_fhe.circuits.rotations import RotationLadder
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks import KeyRequest
from aegis_fhe.errors import LayoutError

SCALE = 2.0**40
TARGET = 2.0**40 * 0.875
PERIOD = 32
BABIES = RotationLadder((2, 1), (2,))


def giants(giant: int) -> RotationLadder:
    """Two giant steps to a stride."""
    return RotationLadder((2 * giant, giant), (2,))


def window_products(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """y = x W in the first n_out slots of every window, zero in the others."""
    windows = x.reshape(-1, PERIOD)
    y = np.zeros_like(windows)
    y[:, : matrix.shape[1]] = windows[:, : matrix.shape[0]] @ matrix
    return y.reshape(-1)


@pytest.mark.parametrize("giant", [1, 4, 8, 64])
@pytest.mark.parametrize("shape", [(16, 16), (32, 32), (5, 32), (32, 7), (1, 1), (9, 12)])
def test_matrix_in_every_window(shape, giant, clear, rng):
    """Slots beyond the matrix hold noise on purpose: nothing of them, or of a neighbour, may leak in."""
    matrix = rng.normal(size=shape)
    x = rng.normal(size=clear.slots)
    transform = PeriodicTransform.of_matrix(matrix, PERIOD)
    result = transform.apply(clear, clear.encode(x, 3, SCALE), BABIES, giants(giant), TARGET)
    np.testing.assert_allclose(result.slots, window_products(x, matrix), atol=1e-12)
    assert (result.symbol.level, result.symbol.components) == (2, 2)
    assert abs(result.symbol.scale / TARGET - 1) < 2.0**-48


def test_transform_is_what_its_docstring_says(clear, rng):
    """y = sum_r d_r rot(x, r) for arbitrary diagonals."""
    diagonals = {r: rng.normal(size=8) for r in (-5, -1, 0, 3, 6)}
    x = rng.normal(size=clear.slots)
    expected = sum(np.tile(d, clear.slots // 8) * np.roll(x, -r) for r, d in diagonals.items())
    transform = PeriodicTransform(diagonals)
    result = transform.apply(clear, clear.encode(x, 1, SCALE), BABIES, giants(4), SCALE)
    np.testing.assert_allclose(result.slots, expected, atol=1e-12)
    assert transform.giants(4) == [-2, -1, 0, 1]


def test_matrices_side_by_side_and_complex_ones(clear, rng):
    """Each window holds two inputs of 16 slots; each meets its own real and imaginary matrix."""
    matrices = rng.normal(size=(2, 16, 16)) + 1j * rng.normal(size=(2, 16, 16))
    x = rng.normal(size=clear.slots)
    windows = x.reshape(-1, 2, 16)
    expected = np.einsum("wzf,zfg->wzg", windows, matrices).reshape(-1)
    transform = PeriodicTransform.of_matrices([*matrices], PERIOD)
    result = transform.apply(clear, clear.encode(x, 3, SCALE), BABIES, giants(4), TARGET)
    np.testing.assert_allclose(result.slots, expected, atol=1e-12)
    one = PeriodicTransform.of_matrix(matrices[0].real, PERIOD)
    assert set(one.diagonals) == set(transform.diagonals), "they share their rotations"


def test_encrypted_complex_matrices(client, rng):
    """Two real matrices in one transform: its real and its imaginary part."""
    matrices = rng.normal(size=(2, 16, 16)) / 4
    x = rng.normal(size=client.params.slots)
    transform = PeriodicTransform.of_matrix(matrices[0] + 1j * matrices[1], PERIOD)
    steps = {-16, -8, 8, 4, 1, 2}
    evaluator = client.evaluator([KeyRequest(step, 2) for step in steps])
    result = transform.apply(evaluator, client.encrypt(x, 2), BABIES, giants(4), TARGET)
    assert result.level == 1
    real, minus_imaginary = (client.decrypt(value) for value in (result, evaluator.mul_i(result)))
    assert np.abs(real - window_products(x, matrices[0])).max() < 2.0**-18
    assert np.abs(minus_imaginary + window_products(x, matrices[1])).max() < 2.0**-18


def test_operations_of_a_square_matrix(rng):
    """n = 16, giant 4: 3 baby rotations, giants -4 ... 3 in strides of two, 2n - 1 products.

    4 strides add up two giants each, one of them moved; 3 of the strides move then. Each sum has one ModDown,
    and the last one's rescales too.
    """
    backend = SymbolicBackend([2**50, 2**40, 2**40], 1024)
    transform = PeriodicTransform.of_matrix(rng.normal(size=(16, 16)), PERIOD)
    transform.apply(backend, Symbol(2, SCALE), BABIES, giants(4), SCALE)
    assert set(backend.counts.keys) == {1, 2, 4, 8, 1024 - 8, 1024 - 16}
    assert backend.counts.totals() == {
        "rotation": 3,
        "accumulated rotation": 4 + 3,
        # One for the coarse step of the babies, two for their fine steps, one for each giant step and stride.
        "mod up": 3 + 4 + 3,
        "mod down": 4 + 1,
        "plain product": 31,
        "add": 4 + 3,
    }


def test_zero_diagonals_cost_nothing(rng):
    transform = PeriodicTransform.of_matrix(np.diag(rng.normal(size=12)), PERIOD)
    assert list(transform.diagonals) == [0]


def test_zero_matrix_still_has_a_result(clear):
    transform = PeriodicTransform.of_matrix(np.zeros((4, 4)), PERIOD)
    value = clear.encode(np.ones(clear.slots), 1, SCALE)
    result = transform.apply(clear, value, BABIES, giants(4), SCALE)
    assert not result.slots.any()


def test_what_does_not_fit_is_refused():
    with pytest.raises(LayoutError, match="does not fit"):
        PeriodicTransform.of_matrix(np.ones((PERIOD + 1, 4)), PERIOD)
    with pytest.raises(LayoutError, match="3 times a 12 x 4 matrix does not fit"):
        PeriodicTransform.of_matrices([np.ones((12, 4))] * 3, PERIOD)
    with pytest.raises(LayoutError, match="one common period"):
        PeriodicTransform({0: np.ones(4), 1: np.ones(8)})
