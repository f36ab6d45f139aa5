"""A circuit's noise, measured with several keys and encryptions, beside the predicted one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aegis_fhe.circuits.noise_backend import NoiseBackend, NoiseValue
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks import EvaluationKeys, Evaluator, Parameters, SlotVector
from aegis_fhe.ckks.secret import SecretKey, decrypt, encrypt, evaluation_keys

Circuit = Callable[[Any, list[Any]], Any]


@dataclass
class Measured:
    """Errors of all slots in all trials, complex [trials, N/2], and the predicted value."""

    params: Parameters
    errors: np.ndarray
    predicted: NoiseValue
    backend: NoiseBackend

    @property
    def std(self) -> float:
        """Of the coefficients, bias included. Parseval: mean |slot error|^2 = N * coefficient variance."""
        return float(np.sqrt(np.mean(np.abs(self.errors) ** 2) / self.params.degree) * self.predicted.scale)

    @property
    def ratio(self) -> float:
        """Measured by predicted standard deviation."""
        return self.std / self.predicted.noise


def measure(
    params: Parameters,
    circuit: Circuit,
    inputs: Sequence[np.ndarray],
    *,
    level: int | None = None,
    scale: float = 2.0**40,
    keys: int = 8,
    limit: int = 64,
) -> Measured:
    """Runs `circuit` on fixed messages with `keys` independent keys and encryptions, all from fixed seeds."""
    level = params.max_level if level is None else level
    backend = NoiseBackend(params, limit=limit)
    predicted = circuit(backend, [backend.encode(values, level, scale) for values in inputs])
    needed = SymbolicBackend(params.q, params.slots)
    circuit(needed, [Symbol(level, scale) for _ in inputs])
    errors = []
    for trial in range(keys):
        secret = SecretKey.generate(params, seed=b"secret %d" % trial)
        requests = needed.counts.key_requests()
        evaluator = Evaluator(
            params, EvaluationKeys.collect(params, evaluation_keys(secret, requests, seed=b"keys %d" % trial))
        )
        ciphertexts = [
            encrypt(
                secret, SlotVector(values), level=level, scale=scale, seed=b"encryption %d %d" % (trial, i)
            ).expand(params)
            for i, values in enumerate(inputs)
        ]
        result = circuit(evaluator, ciphertexts)
        assert (result.level, result.components) == (predicted.level, predicted.components)
        assert abs(result.scale / predicted.scale - 1) < 2.0**-48
        errors.append(decrypt(secret, result).values - predicted.slots)
    return Measured(params, np.array(errors), predicted, backend)
