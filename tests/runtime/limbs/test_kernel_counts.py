"""The cost model counts what every device computes: rows of kernels, tallied as the evaluator calls them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from aegis_fhe.ckks import Evaluator
from aegis_fhe.placement.cost import KernelCounts, OperationCosts, load_device
from aegis_fhe.placement.plaintext_counts import chain_of
from aegis_fhe.ring import Ring
from aegis_fhe.ring.core import in_parts
from aegis_fhe.runtime.limbs import shard_ciphertext

from ..together import together
from .cases import STEPS, Case
from .test_operations import CHOICES

TALLIED = ("ntt", "inverse_ntt", "conversion_product", "key_product", "key_row")
Tally = Callable[[], Counter[str]]


def transformed(name: str) -> Callable[..., dict[str, int]]:
    return lambda ring, x, limbs, **_: {name: x.numel() // ring.degree}


def converted(ring: Ring, x: Any, src: Any, dst: Any, **_: Any) -> dict[str, int]:
    return {"conversion_product": x.numel() // ring.degree * len(dst)}


def extended(ring: Ring, ds: Any, ends: Any, limbs: Any) -> dict[str, int]:
    sizes = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    return {
        "inverse_ntt": len(ds) * ends[-1],
        "ntt": len(ds) * (len(ends) * len(limbs) - ends[-1]),
        "conversion_product": len(ds) * sum(size * (len(limbs) - size) for size in sizes),
    }


def divided(ring: Ring, x: Any, keep: Any, drop: Any, **_: Any) -> dict[str, int]:
    if in_parts(x):  # calls itself for each part
        return {}
    outer = x.numel() // ring.degree // (len(keep) + len(drop))
    products = len(keep) * len(drop)
    return {
        "inverse_ntt": outer * len(drop),
        "ntt": outer * len(keep),
        "conversion_product": outer * products,
    }


def multiplied(ring: Ring, digits: Any, *_: Any) -> dict[str, int]:
    rows = 2 * len(digits.limbs)
    return {"key_product": rows * len(digits.ends), "key_row": rows}


def switched(ring: Ring, operands: Any, key: Any, keep: int, **_: Any) -> dict[str, int]:
    found = Counter[str]()
    for digits, _addends in operands:
        dropped = len(digits.limbs) - keep
        found.update(multiplied(ring, digits))
        found.update(inverse_ntt=2 * dropped, ntt=2 * keep, conversion_product=2 * keep * dropped)
    return dict(found)


def summed(ring: Ring, total: Any, digits: Any, *_: Any) -> dict[str, int]:
    return multiplied(ring, digits)


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> Tally:
    """Gives a device's tally, that of its thread, and starts anew."""
    local = threading.local()

    def watch(name: str, rows: Callable[..., dict[str, int]]) -> None:
        kernel = getattr(Ring, name)

        def watched(ring: Ring, *args: Any, **kwargs: Any) -> Any:
            if hasattr(local, "found"):
                local.found.update(rows(ring, *args, **kwargs))
            return kernel(ring, *args, **kwargs)

        monkeypatch.setattr(Ring, name, watched)

    for name, rows in (
        ("ntt", transformed("ntt")),
        ("intt", transformed("inverse_ntt")),
        ("convert", converted),
        ("mod_up_each", extended),
        ("mod_down", divided),
        ("key_product", multiplied),
        ("switch_key", switched),
        ("add_key_product", summed),
    ):
        watch(name, rows)

    def taken() -> Counter[str]:
        found, local.found = getattr(local, "found", Counter()), Counter()
        return found

    return taken


def as_tally(counts: KernelCounts) -> dict[str, float]:
    """A rescale's conversions are counted with its rows."""
    found = {name: getattr(counts, name) for name in TALLIED}
    found["conversion_product"] += counts.rescaled
    return {name: times for name, times in found.items() if times}


def work(backend: Any, x: Any, y: Any, terms: int) -> dict[str, Callable[[], Any]]:
    """Operations by what they are made of."""
    product = backend.multiply(x, y)
    sources = [backend.negate(x) for _ in range(terms)]
    return {
        "key switch": lambda: backend.relinearize(product),
        "mod up, rotation, rotation": lambda: backend.rotate_many(x, [1, 2]),
        "rescale": lambda: backend.rescale(x),
        "sum": lambda: backend.rotate_sum(sources, [STEPS[i % 4] for i in range(terms)]),
    }


def expected(costs: OperationCosts, name: str, level: int, rank: int, terms: int) -> KernelCounts:
    if name != "sum":
        parts = [costs.kernels(part, level, rank) for part in name.split(", ")]
        return sum(parts, KernelCounts())
    aggregated = costs.placement.aggregates(terms, level)
    steps = [("mod up", terms), ("accumulated rotation", terms), ("mod down", 1)]
    found = [costs.kernels(step, level, rank, aggregated=aggregated) * times for step, times in steps]
    return sum(found, KernelCounts())


@pytest.mark.parametrize("choices", [*CHOICES, {"aggregation": "rounded"}], ids=str)
@pytest.mark.parametrize(("digit_size", "world"), [(1, 1), (2, 1), (2, 2), (2, 4), (3, 3)])
@pytest.mark.parametrize("level", [6, 4, 1])
def test_devices_compute_what_the_model_counts(
    tally: Tally, digit_size: int, world: int, level: int, choices: dict[str, Any]
) -> None:
    """Seven limbs and fewer than devices, digits of one to three limbs, sums gathered and aggregated."""
    strided, terms = "aggregation" in choices, 9
    case = Case.of(digit_size, strided=strided)
    placement = case.placement(world, **choices)
    costs = OperationCosts(chain_of(case.params), load_device("h100"), placement)

    def body(communicator: Any) -> dict[str, tuple[dict[str, float], dict[str, float]]]:
        rank, evaluator = communicator.rank, case.evaluator(placement, communicator)
        x, y = (evaluator.drop_to(shard_ciphertext(z, placement, rank), level) for z in case.inputs[:2])
        found = {}
        for name, run in work(evaluator, x, y, terms).items():
            tally()
            run()
            taken = {kernel: times for kernel, times in tally().items() if times}
            found[name] = taken, as_tally(expected(costs, name, level, rank, terms))
        return found

    for found in together(world, body):
        for name, (taken, counted) in found.items():
            assert taken == counted, name


def test_one_device_computes_what_the_model_counts(tally: Tally) -> None:
    """The evaluator of whole ciphertexts, with its fused kernels."""
    case = Case.of(3, strided=False)
    costs = OperationCosts(chain_of(case.params), load_device("h100"))
    evaluator = Evaluator(case.params, case.keys)
    for level in range(1, 7):
        x, y = (evaluator.drop_to(z, level) for z in case.inputs[:2])
        for name, run in work(evaluator, x, y, 3).items():
            tally()
            run()
            taken = {kernel: times for kernel, times in tally().items() if times}
            assert taken == as_tally(expected(costs, name, level, 0, 3)), name
