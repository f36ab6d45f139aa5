"""What an operation takes beside its kernels: the interpreter's seconds between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch

from aegis_fhe.bench.scheme_operations import SchemeOperations
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.parameters import Parameters

SHORTEST = 5  # log2 N: rows so short that kernels are next to nothing
ROUNDS, RUNS = 6, 20


def operation_seconds(params: Parameters, now: Callable[[], float]) -> float:
    """Median seconds of one operation of those of a polynomial and a rotation, on the limbs of a middle
    level of `params` and the least ring; each after as much has passed the caches as a ciphertext of `params`
    has: the interpreter's own memory is no longer there after a kernel, which makes it several times as slow.
    """
    steps = _steps(SchemeOperations(replace(params, log_degree=SHORTEST, insecure=True)))
    source, target = torch.ones(2, len(params.q), params.degree, dtype=torch.int64)
    found = []
    for _ in range(ROUNDS):
        seconds = 0.0
        for _ in range(RUNS):
            for step, _ in steps:
                target.copy_(source)
                start = now()
                result = step()
                seconds += now() - start
                del result
        found.append(seconds / (RUNS * sum(count for _, count in steps)))
    return median(found)


def _steps(subject: SchemeOperations) -> list[tuple[Callable[[], Ciphertext], int]]:
    """With how many operations of `placement.cost.operations.CALLED` each is."""
    params, multiplier, rotator = subject.params, subject.multiplier, subject.rotator
    x, y = (multiplier.drop_to(one, params.max_level // 2) for one in (subject.x, subject.y))
    product = multiplier.multiply_sum([x, y], [y, x])
    return [
        (lambda: multiplier.multiply_sum([x, y], [y, x]), 1),
        (lambda: multiplier.linear_combination([product, x], [2.0, -1.0], product.scale, constant=-1.0), 1),
        (lambda: multiplier.relinearize_rescale(product), 1),
        (lambda: multiplier.add(x, y), 1),
        (lambda: rotator.rotate(x, 1), 2),
        (lambda: multiplier.mul_scalar(x, 0.5, params.scale), 1),
    ]
