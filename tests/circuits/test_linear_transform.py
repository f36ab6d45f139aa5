"""Linear transforms with periodic diagonals against numpy, in the clear and encrypted."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits import PeriodicTransform, RotationLadder
from aegis_fhe.circuits.linear_transform import baby_steps
from aegis_fhe.ckks import KeyRequest
from aegis_fhe.errors import LayoutError
from aegis_fhe.program.symbolic import Symbol, SymbolicBackend

SCALE = 2.0**40
TARGET = 2.0**40 * 0.875
PERIOD = 32
LADDER = RotationLadder(coarse_unit=2, fine_unit=1, base=2)


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
    value = clear.encode(x, 3, SCALE)
    babies = baby_steps(clear, value, [transform], giant, LADDER)
    result = transform.apply(clear, babies, giant, TARGET)
    np.testing.assert_allclose(result.slots, window_products(x, matrix), atol=1e-12)
    assert (result.symbol.level, result.symbol.components) == (2, 2)
    assert abs(result.symbol.scale / TARGET - 1) < 2.0**-48


def test_transform_is_what_its_docstring_says(clear, rng):
    """y = sum_r d_r rot(x, r) for arbitrary diagonals."""
    diagonals = {r: rng.normal(size=8) for r in (-5, -1, 0, 3, 6)}
    x = rng.normal(size=clear.slots)
    expected = sum(np.tile(d, clear.slots // 8) * np.roll(x, -r) for r, d in diagonals.items())
    transform = PeriodicTransform(diagonals)
    babies = baby_steps(clear, clear.encode(x, 1, SCALE), [transform], 4, LADDER)
    np.testing.assert_allclose(transform.apply(clear, babies, 4, SCALE).slots, expected, atol=1e-12)
    assert transform.giants(4) == [-2, -1, 0, 1]


def test_encrypted_matrices_share_their_baby_steps(client, rng):
    matrices = [rng.normal(size=(16, 16)) / 4 for _ in range(2)]
    x = rng.normal(size=client.params.slots)
    transforms = [PeriodicTransform.of_matrix(matrix, PERIOD) for matrix in matrices]
    steps = {*range(-16, 16, 4), 1, 2} - {0}
    evaluator = client.evaluator([KeyRequest(step, 2) for step in steps])
    babies = baby_steps(evaluator, client.encrypt(x, 2), transforms, 4, LADDER)
    for matrix, transform in zip(matrices, transforms, strict=True):
        result = transform.apply(evaluator, babies, 4, TARGET)
        assert result.level == 1
        assert np.abs(client.decrypt(result) - window_products(x, matrix)).max() < 2.0**-18


def test_operations_of_two_square_matrices(rng):
    """n = 16, giant 4: 3 baby rotations once; for each matrix 7 giant steps, one ModDown, 2n - 1 products.

    The ModDown rescales too.
    """
    backend = SymbolicBackend([2**50, 2**40, 2**40], 1024)
    transforms = [PeriodicTransform.of_matrix(rng.normal(size=(16, 16)), PERIOD) for _ in range(2)]
    babies = baby_steps(backend, Symbol(2, SCALE), transforms, 4, LADDER)
    for transform in transforms:
        transform.apply(backend, babies, 4, SCALE)
    assert backend.counts.totals() == {
        "rotation": 3,
        "accumulated rotation": 2 * 7,
        # One for the coarse step of the ladder, two for its fine steps, one for each giant step.
        "mod up": 3 + 2 * 7,
        "mod down": 2,
        "plain product": 2 * 31,
        "add": 2 * 7,
    }


def test_zero_diagonals_cost_nothing(rng):
    transform = PeriodicTransform.of_matrix(np.diag(rng.normal(size=12)), PERIOD)
    assert list(transform.diagonals) == [0]


def test_zero_matrix_still_has_a_result(clear):
    transform = PeriodicTransform.of_matrix(np.zeros((4, 4)), PERIOD)
    value = clear.encode(np.ones(clear.slots), 1, SCALE)
    result = transform.apply(clear, baby_steps(clear, value, [transform], 4, LADDER), 4, SCALE)
    assert not result.slots.any()


def test_what_does_not_fit_is_refused():
    with pytest.raises(LayoutError, match="does not fit"):
        PeriodicTransform.of_matrix(np.ones((PERIOD + 1, 4)), PERIOD)
    with pytest.raises(LayoutError, match="one common period"):
        PeriodicTransform({0: np.ones(4), 1: np.ones(8)})
