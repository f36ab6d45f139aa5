"""Measured noise against its formula from both sides, on exact integers.

Not above: the formula is what level planning trusts. Not below: less noise than the formula means less
security or a measurement that sees nothing. A standard deviation over n samples is known to 1 / sqrt(2 n):
all tests here have n >= 16384 (0.6 %), and allow 1/16.
"""

import math

import numpy as np
import pytest

from aegis_fhe.ckks import Ciphertext, KeyRequest, Parameters, SlotVector, keyswitch, noise

from .conftest import Client

REPEATS = 8
TOLERANCE = 1 / 16


def assert_std(errors, predicted):
    measured = float(np.sqrt(np.mean(np.square(np.concatenate(errors)))))  # a bias counts too
    assert abs(measured / predicted - 1) < TOLERANCE, f"measured {measured:.4g}, formula {predicted:.4g}"


@pytest.fixture(scope="module")
def tight() -> Client:
    """Special primes hardly above the digits: the digits' part of key-switching noise is as large as it can
    be.
    """
    params = Parameters.build(11, [45, 40, 40, 40], [45, 41], 2, insecure=True)
    return Client.new(params, [KeyRequest(name, 3) for name in ("relin", 1, 2)])


def messages(client, rng):
    return [client.random(rng) for _ in range(REPEATS)]


def encoded(client, values, scale, shape):
    """The encoded message itself as residues, coefficient domain."""
    limbs = client.params.q_limbs(shape[0] - 1)
    return client.params.ring.from_signed(client.params.encoder.encode(SlotVector.of(values), scale), limbs)


def test_fresh(client, rng):
    errors = []
    for values in messages(client, rng):
        phase = client.phase(client.encrypt(values))
        errors.append(client.difference(phase, encoded(client, values, 2.0**40, phase.shape)))
    # Against the encoded (rounded) message only the Gaussian error is left.
    assert_std(errors, noise.ERROR_SIGMA)
    assert abs(np.mean(errors)) < 5 * noise.ERROR_SIGMA / np.sqrt(np.size(errors))
    assert noise.fresh_noise(client.params) == pytest.approx(np.hypot(3.19, 12**-0.5))


def test_fresh_in_the_slots(client, rng):
    errors = []
    for values in messages(client, rng):
        difference = client.decrypt(client.encrypt(values)) - values
        errors += [difference.real, difference.imag]
    assert_std(errors, noise.slot_std(client.params, noise.fresh_noise(client.params), 2.0**40))


def test_sum(client, rng):
    errors = []
    for values in messages(client, rng):
        x, y = client.encrypt(values), client.encrypt(-values)
        errors.append(client.integers(client.phase(client.evaluator.add(x, y))).astype(float))
    assert_std(errors, noise.sum_noise(noise.ERROR_SIGMA, noise.ERROR_SIGMA))


@pytest.mark.parametrize("period", [1, 16, 1024])
def test_plain_product(client, rng, period):
    """Zero messages: the ciphertext's noise times the plaintext's norm."""
    v = SlotVector(client.random(rng, period))
    norm = float(np.linalg.norm(client.params.encoder.encode(v, 2.0**30).numpy().astype(float)))
    assert norm == pytest.approx(
        noise.message_norm(client.params, np.sqrt(np.mean(abs(v.values) ** 2)), 2.0**30), rel=1e-6
    )
    errors = [
        client.integers(client.phase(client.evaluator.mul_plain(client.encrypt(0.0), v, 2.0**30))).astype(
            float
        )
        for _ in range(REPEATS)
    ]
    assert_std(errors, noise.plain_product_noise(client.params, noise.ERROR_SIGMA, 0.0, norm, period))


@pytest.mark.parametrize("period", [64, 1024])
def test_plain_rounding(client, rng, period):
    """A plaintext at a tiny scale: its rounding error times the message is all there is."""
    p, errors = client.params, []
    for values in messages(client, rng):
        v = SlotVector(client.random(rng, period))
        product = client.evaluator.mul_plain(client.encrypt(values, scale=2.0**45), v, 2.0**10)
        difference = client.decrypt(product) - values * v.dense(p.slots)
        errors += [difference.real, difference.imag]
    norm = noise.message_norm(p, np.sqrt(2 / 3), 2.0**45)
    coefficient = noise.plain_product_noise(p, noise.fresh_noise(p), norm, 2.0**10 * np.sqrt(2 / 3), period)
    assert_std(errors, noise.slot_std(p, coefficient, 2.0**55))


def test_product(client, rng):
    p, errors = client.params, []
    fresh, norm = noise.fresh_noise(p), noise.message_norm(p, np.sqrt(2 / 3), 2.0**30)
    for a, b in zip(messages(client, rng), messages(client, rng), strict=True):
        product = client.evaluator.multiply(
            client.encrypt(a, scale=2.0**30), client.encrypt(b, scale=2.0**30)
        )
        difference = client.decrypt(product) - a * b
        errors += [difference.real, difference.imag]
    assert_std(errors, noise.slot_std(p, noise.product_noise(p, fresh, norm, fresh, norm), 2.0**60))


@pytest.mark.parametrize("level", [1, 3])
@pytest.mark.parametrize("which", ["client", "tight"])
def test_key_switch(which, level, rng, request):
    """What relinearisation adds, exactly: the phase with two components minus the phase with three."""
    client = request.getfixturevalue(which)
    errors = []
    for values in messages(client, rng):
        x = client.encrypt(values, level=level, scale=2.0**20)
        product = client.evaluator.multiply(x, x)
        relinearised = client.evaluator.relinearize(product)
        errors.append(client.difference(client.phase(relinearised), client.phase(product)))
    assert_std(errors, noise.key_switch_noise(client.params, level))


def test_the_tight_parameters_test_the_digits_part(tight):
    assert noise.key_product_noise(tight.params, 3) > noise.mod_down_noise(tight.params)


def test_rotation(tight, rng):
    p, errors = tight.params, []
    for values in messages(tight, rng):
        x = tight.encrypt(values)
        phase = p.ring.host.automorphism_coefficients(tight.phase(x), 5, p.q_limbs(3))
        errors.append(tight.difference(tight.phase(tight.evaluator.rotate(x, 1)), phase))
    assert_std(errors, noise.key_switch_noise(p, 3))


def test_worst_slot_has_the_tail_of_a_product(client, rng):
    """Rounding times secret: the worst of 8 x 1024 slots lies beyond a Gaussian's and below the bound."""
    p, worst = client.params, []
    for values in messages(client, rng):
        x = client.encrypt(values)
        worst.append(np.abs(client.decrypt(client.evaluator.rotate(x, 1)) - np.roll(values, -1)).max())
    total = noise.sum_noise(noise.fresh_noise(p), noise.key_switch_noise(p, 3))
    deviation = np.sqrt(2) * noise.slot_std(p, total, 2.0**40)
    gaussian = deviation * np.sqrt(np.log(p.slots))
    assert 1.2 * gaussian < np.median(worst)
    assert max(worst) < noise.worst_slot_error(p, total, 2.0**40) < 4 * max(worst)


def test_double_hoisted_sum_rounds_once(tight, rng):
    p, errors = tight.params, []
    limbs = p.q_limbs(3)
    for values in messages(tight, rng):
        x, y = tight.encrypt(values), tight.encrypt(values)
        one = p.ring.host.automorphism_coefficients(tight.phase(x), 5, limbs)
        two = p.ring.host.automorphism_coefficients(tight.phase(y), 25, limbs)
        total = tight.phase(tight.evaluator.rotate_sum([x, y], [1, 2]))
        errors.append(tight.difference(total, p.ring.host.add(one, two, limbs)))
    product = noise.key_product_noise(p, 3)
    assert_std(errors, noise.sum_noise(product, product, noise.mod_down_noise(p)))
    assert_std(errors, noise.rotate_sum_noise(p, 3, 2))


@pytest.mark.parametrize("components", [2, 3])
def test_rescale_rounding(client, rng, components):
    p, errors = client.params, []
    for values in messages(client, rng):
        x = client.encrypt(values, scale=2.0**40)
        x = client.evaluator.multiply(x, x) if components == 3 else x
        before, after = (
            client.integers(client.phase(x)),
            client.integers(client.phase(client.evaluator.rescale(x))),
        )
        errors.append(((after * p.q[3] - before) / p.q[3]).astype(float))
    # |s^2| varies from key to key by some percent; three components are dominated by it.
    secret = client.integers(p.ring.from_signed(client.secret.coefficients, p.q_limbs(0))).astype(float)
    fold = np.convolve(secret, secret)
    square = fold[: p.degree].copy()
    square[: p.degree - 1] -= fold[p.degree :]
    norms = [1.0, float(secret @ secret), float(square @ square)][:components]
    assert_std(errors, np.sqrt(sum(norms) / 12))
    assert noise.mod_down_noise(p, components) == pytest.approx(np.sqrt(sum(norms) / 12), rel=0.1)


@pytest.mark.parametrize("level", [1, 3])
def test_key_switch_and_rescale_in_one_division(tight, rng, level):
    """Relinearisation by P * q_level at once: one rounding where two divisions leave two."""
    p, errors = tight.params, []
    limbs, special = p.q_limbs(level), math.prod(p.p)
    key = tight.evaluator.keys.find(KeyRequest("relin", level), p.degree)
    for values in messages(tight, rng):
        x = tight.encrypt(values, level=level, scale=2.0**20)
        product = tight.evaluator.multiply(x, x)
        sums = keyswitch.inner_product(p, keyswitch.decompose(p, product.parts[2]), key.halves)
        lifted = p.ring.mul_scalar(product.parts[:2], [special] * len(limbs), limbs)
        sums[:, : level + 1] = p.ring.add(sums[:, : level + 1].contiguous(), lifted, limbs)
        parts = p.ring.mod_down(sums, limbs[:-1], limbs[-1:] + p.p_limbs)
        fused = tight.integers(tight.phase(Ciphertext(parts=parts, scale=product.scale)))
        before = tight.integers(tight.phase(product))
        errors.append(((fused * p.q[level] - before) / p.q[level]).astype(float))
    assert_std(errors, noise.fused_rescale_noise(p, 0.0, level))
    separate = noise.rescale_noise(p, noise.key_switch_noise(p, level), level)
    assert noise.fused_rescale_noise(p, 0.0, level) <= separate


def test_rotate_sum_formula(tight):
    product, rounding = noise.key_product_noise(tight.params, 3), noise.mod_down_noise(tight.params)
    assert noise.rotate_sum_noise(tight.params, 3, 4) == pytest.approx(np.hypot(2 * product, rounding))
    assert noise.rotate_sum_noise(tight.params, 3, 0) == 0


def test_precision_bits():
    assert noise.precision_bits(2.0**-20) == 20
    assert noise.precision_bits(0.0) == np.inf


def test_flooding_bits_formula(client):
    bits = noise.flooding_bits(client.params, noise=1000.0, statistical_bits=40, shared_results=100)
    assert bits == np.ceil(np.log2(1000 * np.sqrt(1200)) + 20)
