"""One client with keys for insecure small parameters, shared by the tests of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, KeyRequest, Parameters, SlotVector, presets
from aegis_fhe.ckks.secret import SecretKey, decrypt, encrypt, evaluation_keys

STEPS = (1, 2, 5, -3)


@dataclass
class Client:
    """A secret key with its evaluator, and the measurements that only its owner can make."""

    params: Parameters
    secret: SecretKey
    evaluator: Evaluator

    @classmethod
    def new(cls, params: Parameters, requests: list[KeyRequest]) -> Client:
        secret = SecretKey.generate(params)
        keys = EvaluationKeys.collect(params, evaluation_keys(secret, requests))
        return cls(params, secret, Evaluator(params, keys))

    def encrypt(self, values: Any, level: int | None = None, scale: float | None = None) -> Ciphertext:
        return encrypt(self.secret, SlotVector.of(values), level=level, scale=scale).expand(self.params)

    def decrypt(self, ciphertext: Ciphertext) -> np.ndarray:
        return decrypt(self.secret, ciphertext).values

    def phase(self, ciphertext: Ciphertext) -> torch.Tensor:
        """c_0 + c_1 s (+ c_2 s^2), every limb, coefficient domain; on the host, where the secret is."""
        ring, limbs = self.params.ring.host, self.params.q_limbs(ciphertext.level)
        parts = ciphertext.parts.cpu()
        total = parts[-1]
        for part in reversed(parts[:-1].unbind(0)):
            total = ring.add(ring.mul(total, self.secret.values[: len(limbs)], limbs), part, limbs)
        return ring.intt(total, limbs)

    def integers(self, phase: torch.Tensor) -> np.ndarray:
        """The centred Python integers of a coefficient-domain polynomial."""
        return np.array(
            self.params.ring.host.to_integers(phase.cpu(), self.params.q_limbs(phase.shape[0] - 1)),
            dtype=object,
        )

    def difference(self, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
        """x - y of two coefficient-domain polynomials, as float64 [N]."""
        limbs = self.params.q_limbs(x.shape[0] - 1)
        return self.integers(self.params.ring.host.sub(x.cpu(), y.cpu(), limbs)).astype(np.float64)

    def random(
        self, rng: np.random.Generator, count: int | None = None, imaginary: bool = True
    ) -> np.ndarray:
        """Slot values in the unit square (or real ones in [-1, 1])."""
        count = self.params.slots if count is None else count
        values = rng.uniform(-1, 1, count)
        return values + 1j * rng.uniform(-1, 1, count) if imaginary else values


@pytest.fixture(scope="session")
def client() -> Client:
    """N = 2^11, levels 0..3, digits of 2 limbs; all keys at the highest level."""
    params = presets.insecure(11, 3, 2)
    names: list[int | str] = ["relin", "conj", *STEPS]
    return Client.new(params, [KeyRequest(name, params.max_level) for name in names])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240917)
