"""Circuits on clear slots, and on ciphertexts of small insecure parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest

from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, KeyRequest, Parameters, SlotVector, presets
from aegis_fhe.ckks.secret import SecretKey, decrypt, encrypt, evaluation_keys
from aegis_fhe.program.clear import ClearBackend


@dataclass
class Client:
    """A secret key and what only its owner can do."""

    params: Parameters
    secret: SecretKey

    def evaluator(self, requests: Iterable[KeyRequest]) -> Evaluator:
        """An evaluator with exactly these keys."""
        return Evaluator(
            self.params, EvaluationKeys.collect(self.params, evaluation_keys(self.secret, requests))
        )

    def encrypt(self, values: np.ndarray, level: int) -> Ciphertext:
        return encrypt(self.secret, SlotVector(values), level=level).expand(self.params)

    def decrypt(self, ciphertext: Ciphertext) -> np.ndarray:
        return decrypt(self.secret, ciphertext).real.values


@pytest.fixture(scope="session")
def client() -> Client:
    """N = 2^11, levels 0..7."""
    params = presets.insecure(log_degree=11, levels=7, digit_size=4)
    return Client(params, SecretKey.generate(params))


@pytest.fixture
def clear(client: Client) -> ClearBackend:
    """The clear interpreter over the same primes."""
    return ClearBackend(client.params.q, client.params.slots)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240917)
