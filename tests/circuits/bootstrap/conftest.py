"""Bootstraps of small, insecure rings, and the oracle they are compared with."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from aegis_fhe.circuits.bootstrap import Bootstrapper, BootstrapPlan, presets
from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, SlotVector
from aegis_fhe.ckks.secret import SecretKey, decrypt, encapsulation_keys, encrypt, evaluation_keys
from aegis_fhe.ring import native


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
        sparse = encapsulation_keys(secret, plan.weight, seed=b"bootstrap")
        evaluator = Evaluator(plan.params, EvaluationKeys.collect(plan.params, keys, sparse))
        return cls(plan, secret, Bootstrapper(plan, evaluator))

    def encrypt(self, values: np.ndarray, level: int) -> Ciphertext:
        return encrypt(self.secret, SlotVector(values), level=level).expand(self.plan.params)

    def decrypt(self, x: Ciphertext) -> np.ndarray:
        return decrypt(self.secret, x).values

    def oracle(self, x: Ciphertext) -> Ciphertext:
        """What a bootstrap should give, made with the secret key."""
        return self.encrypt(self.decrypt(x), self.plan.output_level)


@functools.cache
def owner_of(log_degree: int) -> Owner:
    return Owner.of(presets.insecure(log_degree))


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
