"""Sums, products and automorphisms of noise, against white polynomials drawn and transformed for real."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits.slot_noise import Origin, SlotNoise, periodic_product, periodic_sum
from aegis_fhe.ckks import Encoder

DEGREE, SLOTS, DRAWS = 64, 32, 4000


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def drawn_slots(rng: np.random.Generator) -> np.ndarray:
    """Slots of polynomials with independent coefficients of variance 1: [DRAWS, SLOTS]."""
    encoder = Encoder(DEGREE)
    return np.array([encoder.decode(c, 1.0).values for c in rng.normal(size=(DRAWS, DEGREE))])


def test_variances_of_a_mixture_are_those_drawn(rng):
    """x a + rot(x, 3) b + conj(rot(x, 3)) c + y d + x, slot by slot; 4000 draws know variances to 2.2 %."""
    x, y = drawn_slots(rng), drawn_slots(rng)
    a, b, c, d = rng.normal(size=(4, SLOTS)) + 1j * rng.normal(size=(4, SLOTS))
    d = d[:8]
    rotated = np.roll(x, -3, axis=1)
    drawn = x * a + rotated * b + rotated.conj() * c + y * np.tile(d, 4) + x
    one, two = SlotNoise.of(1, 1.0), SlotNoise.of(2, 1.0)
    moved = one.rotated(3, SLOTS)
    total = SlotNoise.sum([one.times(a), moved.times(b), moved.conjugate().times(c), two.times(d), one])
    assert set(total.weights) == {Origin(1), Origin(1, 3), Origin(1, 3, True), Origin(2)}
    np.testing.assert_allclose(np.mean(np.abs(drawn) ** 2, axis=0) / DEGREE, total.variances, rtol=0.1)
    assert np.sqrt(np.mean(np.abs(drawn) ** 2) / DEGREE) == pytest.approx(total.std, rel=0.02)


def test_automorphisms_move_the_weights_too(rng):
    """rot(x w, 5) = rot(x, 5) rot(w, 5), and undone it is x w again."""
    w = rng.normal(size=SLOTS) + 1j * rng.normal(size=SLOTS)
    noise = SlotNoise.of(1, w)
    moved = noise.rotated(5, SLOTS).conjugate()
    np.testing.assert_array_equal(moved.weights[Origin(1, 5, True)], np.roll(w, -5).conj())
    back = moved.conjugate().rotated(-5, SLOTS)
    assert SlotNoise.sum([noise, back.times(-1.0)]).std == 0


def test_merging_keeps_variances_and_the_strongest(rng):
    noise = SlotNoise.sum([SlotNoise.of(k, k * rng.normal(size=SLOTS)) for k in range(1, 9)])
    merged = noise.merged(3, source=100)
    assert set(merged.weights) == {Origin(8), Origin(7), Origin(100)}
    np.testing.assert_allclose(merged.variances, noise.variances)
    assert noise.merged(8, source=100) is noise
    assert set(noise.merged(1, source=100).weights) == {Origin(100)}


def test_no_noise_is_no_source():
    assert SlotNoise.of(1, 0.0).weights == {}
    assert SlotNoise.of(1, 0.0).std == 0


def test_periodic_vectors_meet_at_the_longer_period():
    a, b = np.array([1.0, 2.0]), np.array([1.0, 10.0, 100.0, 1000.0])
    np.testing.assert_array_equal(periodic_sum(a, b), [2, 12, 101, 1002])
    np.testing.assert_array_equal(periodic_product(a, b), [1, 20, 100, 2000])
    np.testing.assert_array_equal(periodic_product(b, a), [1, 20, 100, 2000])
