"""What is timed as an operation of the scheme is that operation: its result decrypts to the right values."""

import numpy as np
import pytest

from aegis_fhe.bench.key_sizes import key_sizes
from aegis_fhe.bench.ring_table import KERNELS, OPERATIONS
from aegis_fhe.bench.scheme_operations import ROTATIONS, SchemeOperations
from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, presets
from aegis_fhe.ckks.secret import decrypt

from .stand_ins import StandInPeer

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def subject():
    return SchemeOperations(presets.insecure(11, 3, 2))


def close(subject, found, expected):
    values = decrypt(subject.secret, found).values if isinstance(found, Ciphertext) else found
    np.testing.assert_allclose(values, expected, atol=TOLERANCE)


def test_every_row_of_the_table_has_an_operation(subject):
    assert {*KERNELS, *subject.operations()} == set(OPERATIONS)


def test_encode_gives_the_plaintext_that_products_take(subject):
    run, params = subject.operations(), subject.params
    plain = run["encode"]()
    assert plain.shape == (len(params.q), params.degree)
    coefficients = params.ring.to_integers(params.ring.intt(plain, subject.limbs), subject.limbs)
    decoded = params.encoder.decode(np.array([float(c) for c in coefficients]), params.scale)
    close(subject, decoded.values, subject.x_values.values)


def test_encrypt_decrypt_and_decode_return_the_values(subject):
    run = subject.operations()
    close(subject, run["encrypt"]().expand(subject.params), subject.x_values.values)
    close(subject, run["decode"]().values, subject.x_values.values)
    close(subject, run["decrypt + decode"]().values, subject.x_values.values)
    decoded = subject.params.encoder.decode(run["decrypt"](), subject.params.scale)
    close(subject, decoded.values, subject.x_values.values)


def test_sums_and_products(subject):
    run = subject.operations()
    x, y = subject.x_values.values, subject.y_values.values
    close(subject, run["add"](), x + y)
    close(subject, run["plaintext product"](), x * y)
    product = run["product + relinearise"]()
    assert product.components == 2
    close(subject, product, x * y)
    shorter = run["rescale"]()
    assert (shorter.level, shorter.components) == (subject.params.max_level - 1, 2)
    close(subject, shorter, x * y)


def test_rotations_rotate(subject):
    run, x = subject.operations(), subject.x_values.values
    close(subject, run["rotate"](), np.roll(x, -1))
    many = run["8 hoisted rotations"]()
    assert len(many) == len(ROTATIONS) == 8
    for step, found in zip(ROTATIONS, many, strict=True):
        close(subject, found, np.roll(x, -step))


def test_every_generated_key_is_another_and_rotates(subject):
    run, params = subject.operations(), subject.params
    keys = [run["rotation key generation"]() for _ in range(2)]
    assert len({key.request.step for key in keys} - set(ROTATIONS)) == 2
    evaluator = Evaluator(params, EvaluationKeys.collect(params, keys))
    for key in keys:
        rotated = evaluator.rotate(subject.x, key.request.step)
        close(subject, rotated, np.roll(subject.x_values.values, -key.request.step))


def test_operations_start_at_the_highest_level(subject):
    assert subject.x.level == subject.y.level == subject.product.level == subject.params.max_level


def test_key_sizes_are_those_of_a_real_key_and_of_the_peer(subject):
    sizes = key_sizes(subject.params, StandInPeer({}))
    assert sizes.ours == subject.make_rotation_key().stored_bytes
    assert sizes.facts() == {"stored_key_bytes": {"ours": sizes.ours, "peer": 1000}}
    assert f"{sizes.ours / 10:.1f} %" in sizes.sentence()
    alone = key_sizes(subject.params, None)
    assert (alone.ours, alone.theirs) == (sizes.ours, None)
    assert "%" not in alone.sentence()
