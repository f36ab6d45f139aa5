"""The dry evaluator takes the memory of the real one, and touches none of it."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, KeyRequest, Parameters, SlotVector, presets
from aegis_fhe.ckks.dry_run import dry_evaluator, dry_input
from aegis_fhe.ckks.secret import SecretKey, encrypt, evaluation_keys
from aegis_fhe.runtime.memory import peak_bytes

pytestmark = pytest.mark.best_path  # memory is the same on every path

STEPS = (1, 2, 3, 5)
DENSE = SlotVector.of(np.cos(np.arange(1 << 14)))
PERIODIC = SlotVector.of(np.cos(np.arange(1 << 9)))


def parameters() -> Parameters:
    return presets.insecure(log_degree=15, levels=7, digit_size=3)


def requests(params: Parameters) -> list[KeyRequest]:
    return [KeyRequest("relin", params.max_level)] + [KeyRequest(r, params.max_level) for r in STEPS]


OPERATIONS = {
    "add": lambda e, x: e.add(x, x),
    "add at two levels": lambda e, x: e.add(e.multiply(x, x), e.drop_to(e.with_scale(x, x.scale**2), 3)),
    "add scalar": lambda e, x: e.add_scalar(x, 1.0),
    "add plain": lambda e, x: e.add_plain(x, DENSE),
    "linear combination": lambda e, x: e.linear_combination(
        [x, e.drop_to(x, 4)], [0.5, 2.0], x.scale**2, constant=1.0, onto=e.multiply(x, x)
    ),
    "product with i": lambda e, x: e.mul_i(x),
    "product": lambda e, x: e.rescale(e.relinearize(e.multiply(x, x))),
    "product and rescale": lambda e, x: e.relinearize_rescale(e.multiply(x, x)),
    "product at a lower level": lambda e, x: e.relinearize_rescale(e.drop_to(e.multiply(x, x), 4)),
    "rotate": lambda e, x: e.rotate(x, 1),
    "rotate many": lambda e, x: e.rotate_many(x, [0, *STEPS]),
    "rotate sum": lambda e, x: e.rotate_sum([x, x, x, e.add(x, x)], STEPS),
    "rotate sum and rescale": lambda e, x: e.rotate_sum_rescale([x, x, x, e.add(x, x)], [0, *STEPS[1:]]),
    "rotate at a lower level": lambda e, x: e.rotate(e.drop_to(x, 4), 1),
    "plain sums": lambda e, x: e.mul_plain_sums([x, x], [[PERIODIC] * 2] * 3, 2.0**40),
    "dense sums": lambda e, x: e.mul_plain_sums([x, x], [[DENSE, None]] * 2, 2.0**40),
}


def with_expanded_keys(evaluator: Evaluator) -> Evaluator:
    """All halves are there before memory is compared."""
    keys = evaluator.keys
    for key in (keys.relin, *keys.rotations.values()):
        assert key is not None
        assert evaluator.expanded.halves(key).a.shape == key.b.shape
    return evaluator


@pytest.fixture(scope="module", params=[None, "emulated-gpu"], ids=["processor", "gpu"])
def path(request: pytest.FixtureRequest) -> str | None:
    return request.param


@pytest.fixture(scope="module")
def real(path: str | None) -> tuple[Evaluator, Ciphertext]:
    params = replace(parameters(), kernel_path=path)
    secret = SecretKey.generate(params)
    keys = EvaluationKeys.collect(params, evaluation_keys(secret, requests(params)))
    return with_expanded_keys(Evaluator(params, keys)), encrypt(secret, DENSE).expand(params)


@pytest.fixture(scope="module")
def dry(path: str | None) -> tuple[Evaluator, Ciphertext]:
    params = replace(parameters(), kernel_path=path)
    evaluator = dry_evaluator(params, requests(params))
    return with_expanded_keys(evaluator), dry_input(evaluator.params, params.max_level, params.scale)


def taken(evaluator: Evaluator, x: Ciphertext, name: str) -> int:
    """Bytes in use at the fullest moment of an operation, beyond those before it."""
    arena = evaluator.params.ring.arena
    arena.trim()  # so that no larger block that happens to be there is taken
    arena.reset_peaks()
    before = arena.bytes().in_use
    OPERATIONS[name](evaluator, x)
    assert arena.bytes().in_use == before
    return arena.bytes().peak_in_use - before


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_takes_what_it_takes_for_real(name, real, dry):
    """Within the scratch of kernels that is less than a row."""
    row = real[0].params.degree * 8
    assert taken(*dry, name) == pytest.approx(taken(*real, name), abs=4 * row, rel=0.01)


def test_results_have_the_shape_level_and_scale_of_real_ones(real, dry):
    for name, operation in OPERATIONS.items():
        ours, theirs = (operation(*pair) for pair in (dry, real))
        for x, y in zip(*((r if isinstance(r, list) else [r]) for r in (ours, theirs)), strict=True):
            assert (x.parts.shape, x.scale) == (y.parts.shape, y.scale), name


def test_memory_of_a_dry_run_is_not_touched(dry):
    """A gigabyte of ciphertexts, and the process does not grow by a tenth of it."""
    evaluator, x = dry
    before = peak_bytes()
    kept = [evaluator.rotate_many(x, STEPS) for _ in range(64)]
    assert sum(y.size_bytes for many in kept for y in many) >= 1 << 30
    assert peak_bytes() - before < 100 << 20


MEASURED = """
import ckks.test_dry_run as t
from aegis_fhe.ckks.expanded_keys import ExpandedKeys
from aegis_fhe.ring import native
from aegis_fhe.runtime.memory import peak_bytes

native.set_threads(1)
params = t.parameters()
secret = t.SecretKey.generate(params)
keys = t.EvaluationKeys.collect(params, t.evaluation_keys(secret, t.requests(params)))
evaluator, body = t.Evaluator(params, keys), t.encrypt(secret, t.DENSE)
for operation in t.OPERATIONS.values():  # conversion plans, tables of the encoder
    operation(evaluator, body.expand(params))
arena = params.ring.arena
evaluator.expanded = ExpandedKeys()
kept = arena.bytes().in_use  # the secret and the stored halves: made here, read from a file elsewhere
arena.trim(); arena.reset_peaks()
t.settle()
before = t.resident_bytes()
t.fill(evaluator, body.expand(params))
print(arena.bytes().peak_held - kept, peak_bytes() - before)
"""


def resident_bytes() -> int:
    """Of this process, now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def settle() -> None:
    """Time for nothing: torch's threads have their stacks by now."""
    torch.ones(1 << 20).sum()
    time.sleep(0.1)


def fill(evaluator: Evaluator, x: Ciphertext) -> list[Ciphertext]:
    """Every operation once, and some hundred megabytes of ciphertexts kept."""
    kept = [y for _ in range(24) for y in evaluator.rotate_many(x, STEPS)]
    for operation in OPERATIONS.values():
        operation(evaluator, x)
    return kept


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_resident_memory_of_a_real_process_is_what_the_dry_run_predicts():
    """In a process of its own, what is there before subtracted: within 5 %."""
    params = parameters()
    evaluator = dry_evaluator(params, requests(params))
    x = dry_input(evaluator.params, params.max_level, params.scale)
    fill(evaluator, x)
    predicted = evaluator.params.ring.arena.bytes().peak_held
    assert predicted > 400 << 20
    done = subprocess.run([sys.executable, "-c", MEASURED], cwd="tests", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    held, resident = map(int, done.stdout.split())
    assert held == pytest.approx(predicted, rel=0.02)
    assert resident == pytest.approx(predicted, rel=0.05)
