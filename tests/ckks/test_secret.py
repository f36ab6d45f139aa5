"""Secrets: distribution of the key, fresh randomness by default, reproducible only on request, flooding."""

import math

import numpy as np
import torch

from aegis_fhe.ckks import KeyRequest, SlotVector, presets
from aegis_fhe.ckks.key_shape import key_limbs
from aegis_fhe.ckks.secret import SecretKey, decrypt, encrypt, evaluation_keys
from aegis_fhe.ring import native

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


def test_threads_change_no_bit():
    params = presets.insecure(11, 3, 2)
    secret = SecretKey.generate(params, seed=b"a")
    requests = [KeyRequest(1, 3), KeyRequest("relin", 3), KeyRequest("conj", 1)]
    before = native.get_threads()
    made = []
    for threads in (1, 2):
        native.set_threads(threads)
        keys = list(evaluation_keys(secret, requests, seed=b"k"))
        ciphertext = encrypt(secret, SlotVector.of([1.0, 2.0]), seed=b"c")
        expanded = ciphertext.expand(params)
        rows = [key.b for key in keys] + [key.a for key in keys] + [ciphertext.body, expanded.parts]
        made.append((rows, decrypt(secret, expanded).values))
    native.set_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(made[0][0], made[1][0], strict=True))
    np.testing.assert_array_equal(made[0][1], made[1][1])


def test_a_key_hides_its_source_behind_small_errors():
    """b_j + a_j s_out - P g_j s_in is the error (the equation of KeySwitchKey), at every kind of level."""
    params = presets.insecure(11, 3, 2)
    secret = SecretKey.generate(params)
    ring, special = params.ring, math.prod(params.p)
    for request in (KeyRequest(3, 3), KeyRequest(3, 1), KeyRequest("relin", 2), KeyRequest("conj", 0)):
        limbs = key_limbs(params, request.level)
        s = ring.place(secret.values[list(limbs)])
        galois = request.galois(params.degree)
        inverse = 1 if galois is None else pow(galois, -1, 2 * params.degree)
        s_in, s_out = (ring.mul(s, s, limbs), s) if galois is None else (s, ring.automorphism(s, inverse))
        (key,) = evaluation_keys(secret, [request])
        for j, digit in enumerate(params.digits(request.level)):
            gadget = [special if limb in digit else 0 for limb in limbs]
            lifted = ring.mul_scalar(s_in, gadget, limbs)
            error = ring.sub(
                ring.add(ring.place(key.b[j]), ring.mul(key.a[j], s_out, limbs), limbs), lifted, limbs
            )
            values = np.array(ring.to_integers(ring.intt(error, limbs), limbs))
            assert np.abs(values).max() < 10 * 3.19
            assert abs(values.astype(float).std() / 3.19 - 1) < 6 / np.sqrt(2 * params.degree)


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
