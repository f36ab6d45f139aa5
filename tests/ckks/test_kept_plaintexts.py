"""Plaintexts of circuits that run again and again: encoded once, the same bits as encoded anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aegis_fhe.circuits.linear_transform import PeriodicTransform
from aegis_fhe.circuits.rotations import RotationLadder
from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, KeyRequest, SlotVector, presets
from aegis_fhe.ckks.kept_plaintexts import KeptPlaintexts
from aegis_fhe.ckks.plaintexts import Plaintexts
from aegis_fhe.ckks.secret import SecretKey, encrypt, evaluation_keys
from aegis_fhe.ring import native

PERIODS = {"periodic": 16, "dense": 256}


@pytest.fixture(scope="module")
def subject() -> tuple[Evaluator, Ciphertext]:
    params = presets.insecure(log_degree=9, levels=3, digit_size=2)
    secret = SecretKey.generate(params)
    requests = [KeyRequest(r, 3) for r in (1, 2, 3, 4, 8, 12)]
    keys = EvaluationKeys.collect(params, evaluation_keys(secret, requests))
    x = encrypt(secret, SlotVector.of(np.linspace(-1, 1, 256))).expand(params)
    return Evaluator(params, keys), x


class Counted(KeptPlaintexts):
    """How many vectors were encoded."""

    encoded = 0

    def residues(self, v, scale, limbs):
        before = len(self._residues)
        found = super().residues(v, scale, limbs)
        self.encoded += len(self._residues) > before
        return found


def transform(period: int) -> PeriodicTransform:
    rng = np.random.default_rng(5)
    return PeriodicTransform({r: rng.uniform(-1, 1, period) for r in range(16)})


def apply(evaluator: Evaluator, x: Ciphertext, chosen: PeriodicTransform) -> torch.Tensor:
    babies, giants = RotationLadder((1,), ()), RotationLadder((4,), ())
    return chosen.apply(evaluator, x, babies, giants, evaluator.params.scale).parts


@pytest.mark.parametrize("name", PERIODS)
def test_the_bits_of_plaintexts_encoded_anew(name: str, subject: tuple[Evaluator, Ciphertext]) -> None:
    evaluator, x = subject
    chosen = transform(PERIODS[name])
    evaluator.plaintexts = Plaintexts(evaluator.params)
    expected = apply(evaluator, x, chosen)
    kept = evaluator.plaintexts = KeptPlaintexts(evaluator.params)
    assert torch.equal(apply(evaluator, x, chosen), expected)
    after = kept.kept_bytes
    assert after > 0
    assert torch.equal(apply(evaluator, x, chosen), expected)
    assert kept.kept_bytes == after


def test_dense_vectors_are_encoded_once_for_each_level(subject: tuple[Evaluator, Ciphertext]) -> None:
    evaluator, x = subject
    chosen, kept = transform(256), Counted(evaluator.params)
    evaluator.plaintexts = kept
    for _ in range(2):
        apply(evaluator, x, chosen)
    assert kept.encoded == 16
    assert kept.kept_bytes == 16 * 4 * 512 * 8
    apply(evaluator, evaluator.drop_to(x, 2), chosen)
    assert kept.encoded == 32


@pytest.mark.parametrize("name", PERIODS)
def test_no_more_is_kept_than_the_limit(name: str, subject: tuple[Evaluator, Ciphertext]) -> None:
    evaluator, x = subject
    chosen = transform(PERIODS[name])
    evaluator.plaintexts = Plaintexts(evaluator.params)
    expected = apply(evaluator, x, chosen)
    kept = evaluator.plaintexts = KeptPlaintexts(evaluator.params, limit_bytes=3 * 4 * 512 * 8)
    for _ in range(2):
        assert torch.equal(apply(evaluator, x, chosen), expected)
    assert kept.kept_bytes <= kept.limit_bytes


def test_vectors_of_one_call_are_not_kept(subject: tuple[Evaluator, Ciphertext]) -> None:
    evaluator, x = subject
    kept = evaluator.plaintexts = KeptPlaintexts(evaluator.params)
    evaluator.mul_plain(x, SlotVector.of(np.ones(256)), 2.0**40)
    evaluator.mul_plain(x, SlotVector.of(np.ones(8)), 2.0**40)
    assert kept.kept_bytes == 0


def test_a_gpu_keeps_them_and_the_host_does_not() -> None:
    params = presets.insecure(log_degree=9, levels=3, digit_size=2)
    keys = EvaluationKeys.collect(params, [])
    host = Evaluator(replace(params, kernel_path=native.available_paths()[0]), keys)
    gpu = Evaluator(replace(params, kernel_path="emulated-gpu"), keys)
    assert type(host.plaintexts) is Plaintexts
    assert type(gpu.plaintexts) is KeptPlaintexts
