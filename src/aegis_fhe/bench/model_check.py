"""The cost model held against the machine: predicted and measured seconds of operations in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from aegis_fhe.bench.device_calibration import clock
from aegis_fhe.bench.ring_benchmark import threads_set
from aegis_fhe.bench.scheme_operations import SchemeOperations
from aegis_fhe.circuits.bootstrap.bootstrapper import Bootstrapper
from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.ckks.keys import EvaluationKeys
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.secret import SecretKey, encapsulation_keys, encrypt, evaluation_keys
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.placement.cost import DeviceModel, OperationCosts
from aegis_fhe.placement.plaintext_counts import bootstrap_counts, chain_of

RUNS = 5
MATRIX, PERIOD = 16, 16
KEPT_BYTES = 3 << 30  # uniform halves of a bootstrap's keys at N = 2^16, all of them


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One operation, seconds: predicted by the model, and the median of what was measured."""

    operation: str
    predicted: float
    measured: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted / self.measured


def check_model(
    plan: BootstrapPlan, device: DeviceModel, threads: int, runs: int = RUNS
) -> Iterator[Checked]:
    """Operations at the highest level of the plan, a matrix product in the middle, and one bootstrap.

    Cost: keys of the bootstrap included, at N = 2^16 a minute and six GiB.
    """
    now = clock(threads, plan.params.ring.device)
    with threads_set(threads):
        runs_of = {**_operations(plan.params, device), "bootstrap": _bootstrap(plan, device)}
        for name, (prepare, predicted) in runs_of.items():
            run = prepare()
            run()
            seconds = []
            for _ in range(runs):
                start = now()
                result = run()
                seconds.append(now() - start)
                del result
            yield Checked(operation=name, predicted=predicted, measured=statistics.median(seconds))


Run = Callable[[], object]


def _operations(params: Parameters, device: DeviceModel) -> dict[str, tuple[Callable[[], Run], float]]:
    """By name: what prepares a run, and seconds by the model."""
    operations, chain, top = SchemeOperations(params), chain_of(params), params.max_level
    middle = top // 2
    costs = OperationCosts(chain, device)
    periodic = OperationCosts(chain, device, period=PERIOD)
    rotated = costs.seconds("mod up", top) + costs.seconds("rotation", top)
    hoisted = costs.seconds("mod up", top) + 8 * costs.seconds("rotation", top)
    multiplied = costs.seconds("product", top) + 3.5 * costs.seconds("product row", top)
    multiplied += costs.seconds("key switch", top)
    matrix = MATRIX * MATRIX * periodic.seconds("plain product", middle)
    matrix += 2 * MATRIX * periodic.seconds("plain row", middle)
    return {
        "rotate": (lambda: operations.rotate, rotated),
        "8 hoisted rotations": (lambda: operations.rotate_many, hoisted),
        "product + relinearise": (lambda: operations.multiply, multiplied),
        "rescale": (lambda: operations.rescale, costs.seconds("rescale", top)),
        "matrix product": (
            lambda: _matrix_product(operations, middle),
            matrix,
        ),
    }


def _matrix_product(operations: SchemeOperations, level: int) -> Run:
    """Periodic plaintexts, a square matrix of them."""
    evaluator, generator = operations.multiplier, np.random.default_rng(2026)
    xs = [evaluator.add(*[evaluator.drop_to(operations.x, level)] * 2) for _ in range(MATRIX)]
    rows = [[SlotVector(generator.uniform(-1, 1, PERIOD)) for _ in range(MATRIX)] for _ in range(MATRIX)]
    return lambda: evaluator.mul_plain_sums(xs, rows, operations.params.scale)


def _bootstrap(plan: BootstrapPlan, device: DeviceModel) -> tuple[Callable[[], Run], float]:
    """All keys are kept but that from the sparse secret, which is drawn at every use."""
    drawn = OperationCosts(chain_of(plan.params), device).seconds("key expansion", plan.params.max_level)
    return (lambda: _refresh(plan)), bootstrap_counts(plan).seconds(device) + drawn


def _refresh(plan: BootstrapPlan) -> Run:
    params = plan.params
    secret = SecretKey.generate(params)
    keys = EvaluationKeys.collect(
        params, evaluation_keys(secret, plan.key_requests()), encapsulation_keys(secret, plan.weight)
    )
    evaluator = Evaluator(params, keys, expanded_bytes=KEPT_BYTES)
    bootstrapper = Bootstrapper(plan, evaluator)
    x = encrypt(secret, SlotVector(np.sin(np.arange(params.slots))), level=plan.input_level).expand(params)
    return lambda: bootstrapper.refresh(x)
