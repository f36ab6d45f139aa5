"""On a GPU: the bits of the host, also through graphs and beside copies, in the memory that was predicted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, KeyRequest, SlotVector, presets
from aegis_fhe.ckks.dry_run import dry_evaluator, dry_input
from aegis_fhe.ckks.secret import SecretKey, encrypt, evaluation_keys
from aegis_fhe.ring import Ring, find_primes
from ckks.test_dry_run import OPERATIONS, parameters, requests, with_expanded_keys
from ring.oracle import random_residues
from ring.test_paths import moduli_for, operations

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.parametrize("log_degree", [2, 3, 5, 8, 10, 12, 13, 14])
def test_every_operation_has_the_bits_of_the_host(log_degree: int) -> None:
    degree = 1 << log_degree
    portable = operations(Ring(degree, moduli_for(degree), "portable"))
    gpu = operations(Ring(degree, moduli_for(degree), "cuda"))
    for name in portable:
        assert torch.equal(gpu[name]().cpu(), portable[name]()), name


@pytest.mark.parametrize("log_degree", [15, 16, 17])
def test_full_sizes_have_the_bits_of_the_host(log_degree: int) -> None:
    degree = 1 << log_degree
    moduli = find_primes(50, degree, 2) + find_primes(40, degree, 2)
    host, gpu = Ring(degree, moduli), Ring(degree, moduli, "cuda")
    x = random_residues(moduli, degree, seed=1)
    x[:, : degree // 2] = torch.tensor([[q - 1] for q in moduli])
    on_gpu = gpu.place(x)
    transformed = host.ntt(x, range(4))
    assert torch.equal(gpu.ntt(on_gpu, range(4)).cpu(), transformed)
    assert torch.equal(gpu.intt(gpu.place(transformed), range(4)).cpu(), x)
    for keep, drop in (((0, 1, 2), (3,)), ((0, 2), (1, 3))):
        expected = host.mod_down(x, keep, drop, galois=5)
        assert torch.equal(gpu.mod_down(on_gpu, keep, drop, galois=5).cpu(), expected)


@pytest.fixture(scope="module")
def pair() -> tuple[Evaluator, Evaluator, Ciphertext, Ciphertext]:
    """The same keys on the host and on the GPU, and the same ciphertext."""
    params = presets.insecure(log_degree=13, levels=5, digit_size=2)
    on_gpu = replace(params, kernel_path="cuda")
    secret = SecretKey.generate(params, seed=b"s")
    wanted = [KeyRequest("relin", 5), *(KeyRequest(r, 5) for r in (1, 2, 3))]
    keys = list(evaluation_keys(secret, wanted, seed=b"k"))
    moved = [replace(key, params=on_gpu) for key in keys]
    x = encrypt(secret, SlotVector.of([0.5, -0.25, 1.0, 0.0]), seed=b"x")
    host = Evaluator(params, EvaluationKeys.collect(params, keys))
    gpu = Evaluator(on_gpu, EvaluationKeys.collect(on_gpu, moved))
    return host, gpu, x.expand(params), x.expand(on_gpu)


def circuit(evaluator: Evaluator, x: Ciphertext) -> Ciphertext:
    for step in (1, 2, 3):
        x = evaluator.add(x, evaluator.rotate(x, step))
    return evaluator.relinearize_rescale(evaluator.multiply(x, evaluator.mul_i(x)))


def test_a_graph_has_the_bits_of_the_host(pair) -> None:
    host, gpu, x, y = pair
    for i in range(4):
        found = gpu.captured("circuit", gpu.mul_integer(y, i + 1), lambda z: circuit(gpu, z))
        assert torch.equal(found.parts.cpu(), circuit(host, host.mul_integer(x, i + 1)).parts)
    assert gpu._calls.captures == 1


def test_keys_on_their_way_change_no_bit(pair) -> None:
    host, gpu, x, y = pair
    tight = Evaluator(gpu.params, gpu.keys, expanded_bytes=1)
    for _ in range(5):
        assert torch.equal(circuit(tight, y).parts.cpu(), circuit(host, x).parts)
    assert tight.expanded.foreseen > 0


def test_memory_is_what_was_predicted() -> None:
    """Each operation, within 5 % and what torch's allocator rounds small blocks up by."""
    params = replace(parameters(), kernel_path="cuda")
    secret = SecretKey.generate(params)
    keys = EvaluationKeys.collect(params, evaluation_keys(secret, requests(params)))
    real = with_expanded_keys(Evaluator(params, keys))
    x = encrypt(secret, SlotVector.of([1.0])).expand(params)
    dry = with_expanded_keys(dry_evaluator(params, requests(params)))
    y = dry_input(dry.params, params.max_level, params.scale)
    for name, operation in OPERATIONS.items():
        taken = []
        for evaluator, value in ((real, x), (dry, y)):
            operation(evaluator, value)  # what stays after the first time
            arena = evaluator.params.ring.arena
            arena.reset_peaks()
            before = arena.bytes().in_use
            operation(evaluator, value)
            taken.append(arena.bytes().peak_in_use - before)
        assert taken[0] == pytest.approx(taken[1], rel=0.05, abs=1 << 20), name
