"""Whole circuits: predicted noise against the measured one, from both sides.

The prediction is exact to first order, also where noise meets itself (powers in a polynomial, x + rot(x)), so
both sides are 1/16 here too. 8 keys x 1024 slots at N = 2^11, 2 x 8192 at N = 2^14: 16384 samples, 0.6 % of
statistical error and up to 1.5 % where few slots, or the spread of the secret's slots, weigh more. Secrets,
keys and encryptions come from fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits.chebyshev import ChebyshevSeries
from aegis_fhe.circuits.linear_transform import PeriodicTransform
from aegis_fhe.circuits.noise_backend import NoiseBackend
from aegis_fhe.circuits.polynomial import evaluate_polynomial
from aegis_fhe.circuits.products import multiply_plain
from aegis_fhe.circuits.rotations import RotationLadder, sum_of_rotations
from aegis_fhe.ckks import SlotVector, presets

from .measured_noise import measure

TOLERANCE = 1 / 16
SCALE = 2.0**40
BABIES, GIANTS = RotationLadder((2, 1), (2,)), RotationLadder((8, 4), (2,))
MATRIX = np.random.default_rng(5).normal(size=(16, 16)) / 4
SERIES = ChebyshevSeries(-1.0, 1.0, tuple(np.random.default_rng(6).uniform(-1, 1, 16).tolist()))
INSECURE, SECURE = presets.insecure(11, levels=6, digit_size=4), presets.n14()


def linear(b, xs):
    """Hoisted babies, double-hoisted giants; windows of 32 slots."""
    transform = PeriodicTransform.of_matrix(MATRIX, 32)
    return transform.apply(b, xs[0], BABIES, GIANTS, SCALE)


def polynomial(b, xs):
    """Degree 15, Paterson and Stockmeyer."""
    return evaluate_polynomial(b, xs[0], SERIES, target_scale=SCALE)


def linear_then_polynomial(b, xs):
    return polynomial(b, [linear(b, xs)])


def attention(b, xs):
    """Masked rotations of one factor times rotations of the other, one relinearisation."""
    masks = [SlotVector(0.9 * (np.arange(8) < 8 - r)) for r in range(4)]
    rotated = b.rotate_many(xs[0], range(4))
    left = [multiply_plain(b, x, mask, SCALE) for x, mask in zip(rotated, masks, strict=True)]
    right = b.rotate_many(b.drop_to(xs[1], b.level(xs[1]) - 1), [0, 8, 16, 24])
    return b.rescale(b.relinearize(b.multiply_sum(left, right)))


def ladder(b, xs):
    """x + rot(x), four times over."""
    return sum_of_rotations(b, xs[0], (1, 2, 4, 8))


def inputs(circuit, slots):
    """Uniform in [-1, 1], or less where a linear layer must stay inside the polynomial's interval."""
    size = 0.25 if circuit is linear_then_polynomial else 1.0
    return list(np.random.default_rng(8).uniform(-size, size, (2 if circuit is attention else 1, slots)))


@pytest.mark.parametrize("circuit", [linear, polynomial, linear_then_polynomial, attention, ladder])
def test_circuit(circuit):
    result = measure(INSECURE, circuit, inputs(circuit, INSECURE.slots), keys=8)

    assert abs(result.ratio - 1) < TOLERANCE


@pytest.mark.parametrize("circuit", [linear, polynomial, attention])
def test_circuit_at_128_bits_of_security(circuit):
    assert not SECURE.insecure
    result = measure(SECURE, circuit, inputs(circuit, SECURE.slots), keys=2)

    assert abs(result.ratio - 1) < TOLERANCE


def test_one_origin_is_enough_where_noise_does_not_meet_itself():
    """A sum of rotations, then a polynomial whose powers share what they all come from."""
    values = inputs(linear_then_polynomial, INSECURE.slots)
    result = measure(INSECURE, linear_then_polynomial, values, keys=4, limit=1)
    many = linear_then_polynomial(*_predict(values, limit=64))
    assert len(result.predicted.error.weights) < len(many.error.weights)
    assert abs(result.ratio - 1) < TOLERANCE


def test_noise_copied_to_many_slots_adds_up():
    """One slot spread over 8 and summed again: 8 times its noise, not sqrt(8); a low limit forgets that."""
    one = SlotVector(np.eye(1, 8)[0])

    def spread_and_sum(b, xs):
        x = multiply_plain(b, xs[0], one, SCALE)
        for step in (-1, -2, -4, 1, 2, 4):
            x = b.rotate_sum([x, x], [0, step])
        return multiply_plain(b, x, one, SCALE)

    values = inputs(ladder, INSECURE.slots)
    result = measure(INSECURE, spread_and_sum, values, keys=4)
    assert abs(result.ratio - 1) < TOLERANCE
    assert spread_and_sum(*_predict(values, limit=1)).noise < 0.8 * result.predicted.noise


def _predict(values, limit):
    backend = NoiseBackend(INSECURE, limit=limit)
    return backend, [backend.encode(v, INSECURE.max_level, SCALE) for v in values]


@pytest.mark.parametrize("circuit", [polynomial, attention])
def test_precision(circuit):
    """Mean bits are those measured; the worst slot lies above its bound, by what the bound gives away."""
    result = measure(INSECURE, circuit, inputs(circuit, INSECURE.slots), keys=4)
    precision = result.backend.precision(result.predicted)
    errors = np.abs(result.errors)
    assert precision.mean_bits == pytest.approx(-np.log2(np.sqrt(np.mean(errors**2))), abs=0.1)

    assert precision.worst_bits < -np.log2(errors.max()) < precision.worst_bits + 4
