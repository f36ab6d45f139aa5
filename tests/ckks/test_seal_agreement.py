"""The same data and operations through Microsoft SEAL (TenSEAL): our worst error is within a bit of SEAL's.

Same ring degree, scale 2^40, 40-bit rescaling primes, both sets 128-bit ones for N = 2^14 (SEAL's base and
special primes have 60 bits, ours 50 and 3 x 46). TenSEAL encrypts with the public key, relinearises and
rescales by itself, and then calls the scale 2^40 again although the prime is not: a common factor of about 1
+ 1.4e-6, which is taken out of its single products here so that SEAL itself is what we are compared with.
"""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.ckks import KeyRequest, SlotVector, presets

from .conftest import Client

ts = pytest.importorskip("tenseal")

LOG_DEGREE = 14
SCALE = 2.0**40
DOUBLING_STEPS = [1 << k for k in range(LOG_DEGREE - 1)]


@pytest.fixture(scope="module")
def ours() -> Client:
    params = presets.n14(6)
    top = params.max_level
    requests = [
        KeyRequest("relin", top),
        *(KeyRequest(step, top) for step in {*DOUBLING_STEPS, *range(1, 16)}),
    ]
    return Client.new(params, requests)


@pytest.fixture(scope="module")
def seal():
    context = ts.context(ts.SCHEME_TYPE.CKKS, 1 << LOG_DEGREE, coeff_mod_bit_sizes=[60, *[40] * 6, 60])
    context.global_scale = SCALE
    context.generate_galois_keys()
    return context


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(7)
    return rng.uniform(-1, 1, (3, 1 << LOG_DEGREE >> 1))


def bits(values, expected) -> float:
    """Worst precision over all slots, bits."""
    return -float(np.log2(np.abs(np.asarray(values) - expected).max()))


def rms_bits(errors) -> float:
    """Precision of the root mean square error: for results of few slots, whose worst is luck."""
    return -float(np.log2(np.sqrt(np.mean(np.square(errors)))))


def without_common_factor(values, expected) -> np.ndarray:
    """TenSEAL's values times the factor that fits them best to the expected ones."""
    values = np.asarray(values)
    return values * (values @ expected) / (values @ values)


def compare(ours_result, seal_result, expected, least: float) -> None:
    """Both are right to `least` bits, and ours to at most one bit less than SEAL's."""
    our_bits, seal_bits = bits(ours_result, expected), bits(seal_result, expected)
    assert min(our_bits, seal_bits) > least, (our_bits, seal_bits)
    assert our_bits > seal_bits - 1, (our_bits, seal_bits)


def test_encrypt_decrypt(ours, seal, data):
    compare(ours.decrypt(ours.encrypt(data[0])).real, ts.ckks_vector(seal, data[0]).decrypt(), data[0], 20)


def test_add(ours, seal, data):
    a, b, _ = data
    total = ours.evaluator.add(ours.encrypt(a), ours.encrypt(b))
    compare(
        ours.decrypt(total).real, (ts.ckks_vector(seal, a) + ts.ckks_vector(seal, b)).decrypt(), a + b, 20
    )


def test_plain_product(ours, seal, data):
    a, b, _ = data
    product = ours.evaluator.rescale(ours.evaluator.mul_plain(ours.encrypt(a), SlotVector(b), SCALE))
    theirs = without_common_factor((ts.ckks_vector(seal, a) * list(b)).decrypt(), a * b)
    compare(ours.decrypt(product).real, theirs, a * b, 20)


def test_product_relinearised_and_rescaled(ours, seal, data):
    a, b, _ = data
    ev = ours.evaluator
    product = ev.rescale(ev.relinearize(ev.multiply(ours.encrypt(a), ours.encrypt(b))))
    theirs = without_common_factor((ts.ckks_vector(seal, a) * ts.ckks_vector(seal, b)).decrypt(), a * b)
    compare(ours.decrypt(product).real, theirs, a * b, 20)


def test_polynomial(ours, seal, data):
    """1 + x/2 + x^2/4 + x^3/8, three levels of products."""
    a = data[0]
    ev = ours.evaluator
    x = ours.encrypt(a)
    half = ev.rescale(ev.mul_scalar(x, 0.5, SCALE))
    square = ev.rescale(ev.relinearize(ev.multiply(half, half)))
    # A scale for the cube's factor that makes all scales equal again.
    lowered = ev.rescale(ev.mul_scalar(half, 1.0, SCALE))
    cube = ev.rescale(ev.relinearize(ev.multiply(square, lowered)))
    terms = [
        ev.rescale(ev.mul_scalar(term, 1.0, cube.scale * ours.params.q[term.level] / term.scale))
        for term in (half, square)
    ]
    total = ev.add_scalar(ev.add(ev.add(cube, terms[0]), terms[1]), 1.0)
    expected = 1 + a / 2 + a**2 / 4 + a**3 / 8
    compare(
        ours.decrypt(total).real,
        ts.ckks_vector(seal, a).polyval([1, 0.5, 0.25, 0.125]).decrypt(),
        expected,
        18,
    )


def test_sum_of_all_slots_by_rotations(ours, seal, data):
    """TenSEAL's sum leaves its result in one slot, ours in every slot."""
    a = data[0]
    total = ours.encrypt(a)
    for step in DOUBLING_STEPS:
        total = ours.evaluator.add(total, ours.evaluator.rotate(total, step))
    seal_bits = rms_bits([ts.ckks_vector(seal, a).sum().decrypt()[0] - a.sum() for _ in range(8)])
    our_bits = rms_bits(ours.decrypt(total).real - a.sum())
    assert min(our_bits, seal_bits) > 14, (our_bits, seal_bits)
    assert our_bits > seal_bits - 1, (our_bits, seal_bits)


def test_matrix_product_by_rotations(ours, seal, data):
    """A 16 x 16 matrix by its diagonals, plaintext products before rotations as TenSEAL does it."""
    rng = np.random.default_rng(8)
    matrix, vector = rng.uniform(-1, 1, (16, 16)), data[0][:16]
    ev, rows = ours.evaluator, np.arange(16)
    diagonals = [[SlotVector(matrix[rows, (rows - k) % 16])] for k in range(16)]
    products = ev.mul_plain_sums([ours.encrypt(vector)], diagonals, SCALE)
    product = ev.rescale(ev.rotate_sum(products, list(range(16))))
    expected = vector @ matrix
    runs = [ts.ckks_vector(seal, vector).matmul(matrix.tolist()).decrypt() for _ in range(6)]
    seal_bits = rms_bits([without_common_factor(run, expected) - expected for run in runs])
    our_bits = rms_bits(ours.decrypt(product).real - np.tile(expected, ours.params.slots // 16))
    assert min(our_bits, seal_bits) > 20, (our_bits, seal_bits)
    assert our_bits > seal_bits - 1, (our_bits, seal_bits)
