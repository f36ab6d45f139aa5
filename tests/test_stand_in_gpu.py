"""Where tensors lie on a GPU, tried without one: operations, a mesh, and that mistakes are seen."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aegis_fhe.ckks import EvaluationKeys, Evaluator, KeyRequest, SlotVector, presets
from aegis_fhe.ckks.secret import SecretKey, decrypt, encrypt, evaluation_keys
from aegis_fhe.errors import LayoutError
from aegis_fhe.ring import Ring, find_primes
from stand_in_gpu import stand_in

TESTS = Path(__file__).parent


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    stand_in(monkeypatch)
    return Ring(16, find_primes(40, 16, 2), "cuda")


def test_tensors_of_the_host_are_refused(ring: Ring):
    host = torch.zeros((2, 16), dtype=torch.int64)
    there = ring.place(host)
    with pytest.raises(LayoutError, match="x lies on cpu"):
        ring.ntt(host, (0, 1))
    with pytest.raises(RuntimeError, match="of the host and of the device"):
        _ = there + host
    with pytest.raises(TypeError, match="copy it to the host"):
        there.numpy()
    assert torch.equal(ring.ntt(there, (0, 1)).cpu(), host)
    assert ring.host.device.type == "cpu"


def test_results_are_those_of_the_processor(ring: Ring):
    """Product, rotation and rescale; the client, its secret and its results stay on the host."""
    made = []
    for path in (None, ring.path):
        params = replace(presets.insecure(8, 3, 2), kernel_path=path)
        secret = SecretKey.generate(params, seed=bytes(32))
        requests = [KeyRequest("relin", 3), KeyRequest(1, 3)]
        evaluator = Evaluator(
            params,
            EvaluationKeys.collect(params, evaluation_keys(secret, requests, seed=bytes(32))),
        )
        values = SlotVector.of([0.5, -0.25] * (params.slots // 2))
        x = encrypt(secret, values, seed=bytes(32)).expand(params)
        y = evaluator.rescale(evaluator.rotate(evaluator.relinearize(evaluator.multiply(x, x)), 1))
        assert y.parts.device == params.ring.device
        assert decrypt(secret, y).values[0] == pytest.approx(0.0625, abs=1e-6)
        made.append(y.parts.cpu())
    assert torch.equal(*made)


@pytest.mark.best_path
@pytest.mark.parametrize(
    "chosen",
    [
        "runtime/mesh/test_execute.py::test_any_assignment_gives_the_bits_of_one_device[2x1-1]",
        "service/test_checkpoints.py::test_values_come_back",
    ],
)
def test_devices_and_checkpoints(chosen: str):
    """The tests of these, on the path of a GPU that is stood in for."""
    command = [sys.executable, "-m", "pytest", "--kernel-path", "stand-in-gpu", str(TESTS / chosen)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
