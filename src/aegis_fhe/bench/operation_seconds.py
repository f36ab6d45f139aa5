"""What an operation takes beside its kernels: the interpreter's seconds between them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from aegis_fhe.bench.scheme_operations import SchemeOperations
from aegis_fhe.bench.timing import Quantiles, quantiles
from aegis_fhe.ckks.parameters import Parameters

SHORTEST = 5  # log2 N: rows so short that kernels are next to nothing
OPERATIONS = 7  # of one chain, as `placement.cost.operations.CALLED` counts them
CHAINS, ROUNDS = 40, 6


def operation_seconds(params: Parameters, now: Callable[[], float] = time.process_time) -> Quantiles:
    """Seconds of one of the operations of a polynomial and a rotation, on the limbs of a middle level of
    `params` and the least ring.
    """
    subject = SchemeOperations(replace(params, log_degree=SHORTEST, insecure=True))
    multiplier, rotator = subject.multiplier, subject.rotator
    level = params.max_level // 2
    x, y = (multiplier.drop_to(one, level) for one in (subject.x, subject.y))

    def chain() -> None:
        product = multiplier.multiply_sum([x, y], [y, x])
        combined = multiplier.linear_combination([product, x], [2.0, -1.0], product.scale, constant=-1.0)
        z = multiplier.relinearize_rescale(combined)
        z = multiplier.add(z, z)
        z = rotator.rotate(z, 1)
        multiplier.mul_scalar(z, 0.5, params.scale)

    chain()
    found = []
    for _ in range(ROUNDS):
        start = now()
        for _ in range(CHAINS):
            chain()
        found.append((now() - start) / (CHAINS * OPERATIONS))
    return quantiles(found)
