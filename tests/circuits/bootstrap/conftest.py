"""Bootstraps of small, insecure rings, and the oracle they are compared with."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from aegis_fhe.circuits.bootstrap import Bootstrapper, BootstrapPlan, SineModulus
from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, Parameters, SlotVector
from aegis_fhe.ckks.secret import SecretKey, decrypt, encapsulation_keys, encrypt, evaluation_keys
from aegis_fhe.ring import find_primes, native


def small_plan(log_degree: int, usable: int = 3, digit_size: int = 5) -> BootstrapPlan:
    """The proportions of the large sets: q_0 and the bootstrap's primes of 50 bits, messages of 40."""
    bits = log_degree - 1
    low = (bits // 2, bits - bits // 2)
    high = (bits - 2 * (bits // 3), bits // 3, bits // 3)
    sine = SineModulus(width=2.0**-4.5, arcsine_degree=7)
    wide = find_primes(50, 1 << log_degree, digit_size + 1 + len(high) + sine.depth)
    p, q_0, upper = wide[:digit_size], wide[digit_size], wide[digit_size + 1 :]
    middle = find_primes(40, 1 << log_degree, len(low) + usable)
    params = Parameters(
        log_degree=log_degree,
        q=(q_0, *middle, *upper),
        p=p,
        digit_size=digit_size,
        scale=2.0**40,
        insecure=True,
    )
    return BootstrapPlan(params=params, to_coefficients=low, to_slots=high, sine=sine)


@dataclass(frozen=True)
class Owner:
    """The secret key, a bootstrapper under its keys, and the oracle: decrypt and encrypt anew."""

    plan: BootstrapPlan
    secret: SecretKey
    bootstrapper: Bootstrapper

    @classmethod
    def of(cls, plan: BootstrapPlan) -> Owner:
        secret = SecretKey.generate(plan.params, seed=b"bootstrap")
        keys = evaluation_keys(secret, plan.key_requests(), seed=b"bootstrap")
        evaluator = Evaluator(plan.params, EvaluationKeys.collect(plan.params, keys))
        sparse = encapsulation_keys(secret, plan.weight, seed=b"bootstrap")
        return cls(plan, secret, Bootstrapper(plan, evaluator, sparse))

    def encrypt(self, values: np.ndarray, level: int) -> Ciphertext:
        return encrypt(self.secret, SlotVector(values), level=level).expand(self.plan.params)

    def decrypt(self, x: Ciphertext) -> np.ndarray:
        return decrypt(self.secret, x).values

    def oracle(self, x: Ciphertext) -> Ciphertext:
        """What a bootstrap should give, made with the secret key."""
        return self.encrypt(self.decrypt(x), self.plan.output_level)


@functools.cache
def owner_of(log_degree: int) -> Owner:
    return Owner.of(small_plan(log_degree))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads cost more than they bring on rings as small as these."""
    before = native.get_threads()
    native.set_threads(1)
    yield
    native.set_threads(before)


@pytest.fixture(scope="session")
def owner() -> Owner:
    """N = 2^10, three usable levels."""
    return owner_of(10)


def complex_uniform(rng: np.random.Generator, count: int) -> np.ndarray:
    """Both parts in [-1, 1]."""
    return rng.uniform(-1, 1, count) + 1j * rng.uniform(-1, 1, count)


def worst(errors: np.ndarray) -> float:
    """The largest error of a real or imaginary part."""
    return float(max(np.abs(errors.real).max(), np.abs(errors.imag).max()))
