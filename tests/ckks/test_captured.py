"""Circuits that an evaluator captures give the bits that they give as they come."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from aegis_fhe.ckks import EvaluationKeys, Evaluator
from ring.test_calls import Rerun


def keys_for(client, params):
    keys = client.evaluator.keys
    held = [key for key in (keys.relin, *keys.rotations.values()) if key is not None]
    return EvaluationKeys.collect(params, held)


def circuit(evaluator, x):
    """Keys, a plaintext and the imaginary unit."""
    return evaluator.relinearize_rescale(evaluator.multiply(evaluator.rotate(x, 1), evaluator.mul_i(x)))


@pytest.mark.parametrize("path", [None, "emulated-gpu"])
def test_replays_have_the_same_bits_level_and_scale(client, rng, path):
    params = replace(client.params, kernel_path=path)
    evaluator = Evaluator(params, keys_for(client, params))
    evaluator._calls = calls = Rerun()
    for _ in range(4):
        x = client.encrypt(client.random(rng))
        expected = circuit(client.evaluator, x)
        found = evaluator.captured("one", x, lambda y: circuit(evaluator, y))
        assert torch.equal(found.parts, expected.parts)
        assert (found.level, found.scale) == (expected.level, expected.scale)
    assert (calls.captures, calls.replays) == (1, 3)
    lower = client.evaluator.drop_to(x, 2)
    found = evaluator.captured("one", lower, lambda y: circuit(evaluator, y))
    assert torch.equal(found.parts, circuit(client.evaluator, lower).parts)
    assert calls.captures == 1


def test_nothing_is_captured_while_a_key_comes_and_goes(client, rng):
    params = replace(client.params, kernel_path="emulated-gpu")
    evaluator = Evaluator(params, keys_for(client, params), expanded_bytes=1)
    evaluator._calls = calls = Rerun()
    x = client.encrypt(client.random(rng))
    for _ in range(3):
        found = evaluator.captured("one", x, lambda y: circuit(evaluator, y))
        assert torch.equal(found.parts, circuit(client.evaluator, x).parts)
    assert calls.captures == 0


def test_several_values_in_and_out(client, rng):
    evaluator = Evaluator(client.params, client.evaluator.keys)
    evaluator._calls = Rerun()
    for _ in range(3):
        x, y = (client.encrypt(client.random(rng)) for _ in range(2))
        both = evaluator.captured_each("two", [x, y], lambda v: [evaluator.add(*v), evaluator.sub(*v)])
        assert torch.equal(both[0].parts, evaluator.add(x, y).parts)
        assert torch.equal(both[1].parts, evaluator.sub(x, y).parts)
