"""`aegis bench bootstrap`: one bootstrap after the other, timed by stage, and how precise they are."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from aegis_fhe.bench.ring_benchmark import threads_set
from aegis_fhe.bench.timing import milliseconds
from aegis_fhe.circuits.bootstrap.bootstrapper import Bootstrapper
from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.ckks.keys import EvaluationKeys
from aegis_fhe.ckks.secret import SecretKey, decrypt, encapsulation_keys, encrypt, evaluation_keys
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.runtime.gpus import finish
from aegis_fhe.runtime.memory import peak_bytes

KEY_BYTES = 4 << 30  # of both halves of all keys: what does not fit is drawn from its seed at every use


def measure_bootstrap(
    plan: BootstrapPlan, *, threads: int, runs: int, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Facts and times of `runs` bootstraps after one that is not timed, on uniform numbers in [-1, 1].

    pair_seconds: of as many bootstraps that refresh two real ciphertexts in one.

    Seconds by stage are those of the median run. precision_bits_worst: -log2 of the largest error of a real
    or imaginary part; precision_bits_mean: -log2 of their mean error. key_bytes: both halves in memory, as
    far as they are there at one time. peak_memory_bytes: of the process, key generation included;
    arena_peak_bytes: of the ring's memory, which on a GPU is the GPU's.
    """
    params, device = plan.params, plan.params.ring.device
    secret = SecretKey.generate(params)
    requests = plan.key_requests()
    say(f"{len(requests)} keys")
    sparse = encapsulation_keys(secret, plan.weight)
    keys = EvaluationKeys.collect(params, evaluation_keys(secret, requests), sparse)
    stored = sum(key.stored_bytes for key in (keys.relin, *keys.rotations.values()) if key is not None)
    transient = sparse.from_sparse.stored_bytes  # its uniform half is drawn at every use
    room = max(KEY_BYTES - stored - sparse.stored_bytes - transient, 0)
    evaluator = Evaluator(params, keys, expanded_bytes=room)
    bootstrapper = Bootstrapper(plan, evaluator)
    rng = np.random.default_rng(2026)
    values = rng.uniform(-1, 1, plan.values) + 1j * rng.uniform(-1, 1, plan.values)
    z = np.tile(values, params.slots // plan.values)
    x = encrypt(secret, SlotVector(z), level=plan.input_level).expand(params)
    split: list[dict[str, float]] = []
    with threads_set(threads):
        for run in range(runs + 1):
            clock = _StageClock(device)
            refreshed = bootstrapper.refresh(x, observe=clock.mark)
            clock.mark("sum of the parts")
            if run:
                split.append(clock.seconds)
                say(f"bootstrap {run}: {sum(clock.seconds.values()):.2f} s")
        real = [
            encrypt(secret, SlotVector(part), level=plan.input_level).expand(params)
            for part in (z.real, z.imag)
        ]
        pairs = [milliseconds(lambda: bootstrapper.refresh_pair(*real), device) / 1e3 for _ in range(runs)]
    errors = decrypt(secret, refreshed).values - z
    parts = np.abs(np.concatenate([errors.real, errors.imag]))
    seconds = [sum(stages.values()) for stages in split]
    median = statistics.median_low(seconds)
    return {
        "preset": params.name,
        "log_n": params.log_degree,
        "slots": plan.values,
        "security_bits": params.security_bits,
        "threads": threads,
        "seconds": {"min": min(seconds), "median": statistics.median(seconds)},
        "pair_seconds": {"min": min(pairs), "median": statistics.median(pairs)},
        "levels_left": plan.levels_left,
        "scale_bits": float(np.log2(params.scale)),
        "precision_bits_worst": float(-np.log2(parts.max())),
        "precision_bits_mean": float(-np.log2(parts.mean())),
        "failure_log2": float(np.log2(plan.failure)),
        "key_bytes": stored + sparse.stored_bytes + transient + min(stored, room),
        "peak_memory_bytes": peak_bytes(),
        "arena_peak_bytes": params.ring.arena.bytes().peak_held,
        "stages": split[seconds.index(median)],
    }


class _StageClock:
    """Seconds from one mark to the next, on a GPU until that is there."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._device = device
        finish(device)
        self._last = time.perf_counter()

    def mark(self, stage: str) -> None:
        finish(self._device)
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now
