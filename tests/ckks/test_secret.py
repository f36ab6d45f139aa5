"""Secrets: distribution of the key, fresh randomness by default, reproducible only on request, flooding."""

import numpy as np
import torch

from aegis_fhe.ckks import KeyRequest, SlotVector, presets
from aegis_fhe.ckks.secret import SecretKey, decrypt, encrypt, evaluation_keys

PARAMS = presets.insecure(11, 1, 1)


def test_secret_is_uniform_ternary_and_new_each_time():
    secret = SecretKey.generate(PARAMS).coefficients
    counts = [int((secret == value).sum()) for value in (-1, 0, 1)]
    assert sum(counts) == PARAMS.degree
    # Each count is binomial(N, 1/3): six standard deviations.
    assert max(abs(count - PARAMS.degree / 3) for count in counts) < 6 * np.sqrt(PARAMS.degree * 2 / 9)
    assert not torch.equal(secret, SecretKey.generate(PARAMS).coefficients)


def test_seed_reproduces_and_default_does_not():
    v = SlotVector.of([1.0, 2.0])
    secret = SecretKey.generate(PARAMS, seed=b"a")
    assert torch.equal(secret.coefficients, SecretKey.generate(PARAMS, seed=b"a").coefficients)
    assert not torch.equal(secret.coefficients, SecretKey.generate(PARAMS, seed=b"b").coefficients)
    one, two = encrypt(secret, v, seed=b"c"), encrypt(secret, v, seed=b"c")
    assert torch.equal(one.body, two.body)
    assert one.seed == two.seed
    # One seed for two messages (or levels) must not mean one mask: the difference would show.
    assert encrypt(secret, SlotVector.of([1.0, 2.5]), seed=b"c").seed != one.seed
    assert encrypt(secret, v, level=0, seed=b"c").seed != one.seed
    fresh = [encrypt(secret, v) for _ in range(2)]
    assert fresh[0].seed != fresh[1].seed
    assert not torch.equal(fresh[0].body, fresh[1].body)
    keys = [next(evaluation_keys(secret, [KeyRequest(1, 1)], seed=s)) for s in (b"k", b"k", None, None)]
    assert torch.equal(keys[0].b, keys[1].b)
    assert not torch.equal(keys[2].b, keys[3].b)
    other = SecretKey.generate(PARAMS)
    assert next(evaluation_keys(other, [KeyRequest(1, 1)], seed=b"k")).seed != keys[0].seed


def test_keys_come_one_at_a_time():
    secret = SecretKey.generate(PARAMS)
    produced = []

    def requests():
        for step in (1, 2, 3):
            produced.append(step)
            yield KeyRequest(step, 1)

    keys = evaluation_keys(secret, requests())
    assert produced == []
    next(keys)
    assert produced == [1]


def test_secret_is_not_printed():
    assert "tensor" not in repr(SecretKey.generate(PARAMS))


def test_expansion_needs_no_secret_and_is_deterministic():
    secret = SecretKey.generate(PARAMS)
    seeded = encrypt(secret, SlotVector.of(0.5), level=0, scale=2.0**30)
    one, two = seeded.expand(PARAMS), seeded.expand(PARAMS)
    assert torch.equal(one.parts, two.parts)
    assert (one.level, one.scale, seeded.level) == (0, 2.0**30, 0)


def test_decryption_at_scales_beyond_three_limbs():
    params = presets.insecure(10, 4, 1)
    secret = SecretKey.generate(params)
    ciphertext = encrypt(secret, SlotVector.of([1.0, -3.0]), scale=2.0**40).expand(params)
    scaled = params.ring.mul_scalar(ciphertext.parts, [1 << 100] * 5, params.q_limbs(4))
    values = decrypt(secret, type(ciphertext)(parts=scaled, scale=2.0**140)).values
    np.testing.assert_allclose(values[:4], [1, -3, 1, -3], atol=2.0**-25)


def test_flooding_has_the_size_that_was_asked_for():
    secret = SecretKey.generate(PARAMS)
    ciphertext = encrypt(secret, SlotVector.of(0.25)).expand(PARAMS)
    bits = 24
    errors = np.concatenate(
        [decrypt(secret, ciphertext, flooding_bits=bits).values - 0.25 for _ in range(16)]
    )
    parts = np.concatenate((errors.real, errors.imag))
    assert abs(parts.std() / (2.0 ** (bits - 40) * np.sqrt(PARAMS.degree / 2)) - 1) < 1 / 16
    assert np.abs(decrypt(secret, ciphertext).values - 0.25).max() < 2.0**-25
