"""Raising the modulus under a sparse secret: the message stays what it is modulo q_0, overflow is small."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aegis_fhe.ckks import Ciphertext, Parameters, SlotVector
from aegis_fhe.ckks.encapsulation import raise_modulus
from aegis_fhe.ckks.key_shape import narrow_parameters
from aegis_fhe.ckks.secret import SecretKey, encapsulation_keys, encrypt
from aegis_fhe.errors import CompatibilityError, LevelError, ParameterError
from aegis_fhe.ring import find_primes
from aegis_fhe.ring.sampling import sparse_ternary

N = 1 << 10


def parameters(levels: int = 4) -> Parameters:
    """q_0 below every special prime."""
    primes = find_primes(50, N, levels + 3)
    return Parameters(log_degree=10, q=primes[2:], p=primes[:2], digit_size=2, scale=2.0**42, insecure=True)


@pytest.fixture(scope="module")
def params() -> Parameters:
    return parameters()


@pytest.fixture(scope="module")
def secret(params: Parameters) -> SecretKey:
    return SecretKey.generate(params)


def integers(secret: SecretKey, x: Ciphertext) -> np.ndarray:
    """The centred coefficients of c_0 + c_1 s, as Python integers."""
    ring, limbs = secret.params.ring, secret.params.q_limbs(x.level)
    s = ring.place(secret.values[: len(limbs)])
    plain = ring.add(x.parts[0], ring.mul(x.parts[1], s, limbs), limbs)
    return np.array(ring.to_integers(ring.intt(plain, limbs), limbs), dtype=object)


@pytest.mark.parametrize("weight", [8, 32])
def test_message_stays_and_overflow_is_small(params, secret, weight):
    z = np.random.default_rng(weight).uniform(-1, 1, params.slots)
    x = encrypt(secret, SlotVector(z), level=0).expand(params)
    keys = encapsulation_keys(secret, weight)
    before, after = integers(secret, x), integers(secret, raise_modulus(params, x, keys))
    q = params.q[0]
    overflow = np.array([round((b - a) / q) for a, b in zip(before, after, strict=True)])
    errors = np.array([int(b - a - q * int(i)) for a, b, i in zip(before, after, overflow, strict=True)])
    assert errors.std() < 2.0**9, "of key switches, beside a message of 2^42"
    assert np.abs(errors).max() < 2.0**12
    expected = math.sqrt((weight + 1) / 12)
    assert overflow.std() == pytest.approx(expected, rel=0.1)
    assert np.abs(overflow).max() <= (1 + weight) / 2


def test_keys_forget_the_sparse_secret_and_differ(params, secret):
    first, second = encapsulation_keys(secret, 32), encapsulation_keys(secret, 32)
    assert first.to_sparse.params.q == params.q[:1]
    assert first.to_sparse.params.p == params.p[:1]
    assert first.stored_bytes == sum(k.stored_bytes for k in (first.to_sparse, first.from_sparse))
    assert (first.to_sparse.b != second.to_sparse.b).any()
    same = [encapsulation_keys(secret, 32, seed=b"seed") for _ in range(2)]
    for name in ("to_sparse", "from_sparse"):
        one, other = (getattr(keys, name) for keys in same)
        assert one.seed == other.seed
        assert (one.b == other.b).all()


@pytest.mark.parametrize("weight", [1, 7, 64, 1024])
def test_sparse_secrets_have_exactly_their_weight(weight):
    values = sparse_ternary(1024, weight, bytes(range(32)), b"test")
    assert int(values.abs().sum()) == weight == int((values != 0).sum())


def test_places_and_signs_are_uniform():
    total, signs = np.zeros(64), 0
    for i in range(2000):
        values = sparse_ternary(64, 8, i.to_bytes(32, "little"), b"test").numpy()
        total += np.abs(values)
        signs += int(values.sum())
    assert np.abs(total - 250).max() < 5 * math.sqrt(250 * 7 / 8)
    assert abs(signs) < 5 * math.sqrt(16000)


def test_what_does_not_fit_is_refused(params, secret):
    keys = encapsulation_keys(secret, 32)
    x = encrypt(secret, SlotVector(np.ones(1)), level=1).expand(params)
    with pytest.raises(LevelError, match="from level 0, the ciphertext is at level 1"):
        raise_modulus(params, x, keys)
    low = Ciphertext(parts=x.parts[:, :1].contiguous(), scale=x.scale)
    with pytest.raises(CompatibilityError, match="made for other parameters"):
        raise_modulus(parameters(5), low, keys)
    for weight in (0, -1, N + 1):
        with pytest.raises(ParameterError, match="cannot have"):
            encapsulation_keys(secret, weight)
    large, q_0, small = find_primes(50, N, 3)
    above = Parameters(log_degree=10, q=(q_0,), p=(small, large), digit_size=1, insecure=True)
    with pytest.raises(ParameterError, match="more special bits"):
        narrow_parameters(above)
