"""This machine as a device of the cost model: every kernel measured, with one thread and with all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import torch

from aegis_fhe.bench.kernel_samples import KernelSamples, Sample
from aegis_fhe.bench.operation_seconds import operation_seconds
from aegis_fhe.bench.ring_benchmark import threads_set
from aegis_fhe.bench.timing import SETTLE_S, Quantiles, quantiles
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost import DeviceFile, KernelSeconds, Setting
from aegis_fhe.runtime.gpus import finish

ROUNDS, RUNS = 6, 2  # rounds through all samples, so that a disturbance meets all; timed runs of each
LEAST_SHARE = 0.02  # of a sample, that the kernel it is there for gets at least

# What a sample is there for, when the samples before it are understood.
OF_SAMPLE = {
    "ntt": "ntt",
    "inverse_ntt": "inverse_ntt",
    "addition": "addition",
    "product": "product",
    "uniform": "uniform",
    "embedding": "embedding",
    "key product with addends": "joined",
    "sum of key products": "accumulation",
    "division": "quotient",
    "division and automorphism": "automorphism",
    "rescale": "rescaled",
}
# Two samples of two kernels in different shares: (kernel and the sample with most of it, and again).
PAIRS = (
    ("conversion_product", "conversion of a digit", "conversion_row", "conversion of one limb"),
    ("key_product", "key product", "key_row", "key product of one digit"),
    ("combined_product", "combination of many", "combined_row", "combination of one"),
    ("periodic_product", "periodic product", "periodic_row", "small periodic product"),
    ("tensor_product", "product of matrices", "tensor_row", "product of ciphertexts"),
)

Say = Callable[[str], None]


def calibrate_device(
    params: Parameters,
    threads: Sequence[int],
    *,
    name: str,
    provenance: str,
    memory_bytes: int,
    rounds: int = ROUNDS,
    say: Say = lambda line: None,
) -> DeviceFile:
    """Minimum and median of every kernel on rows of N residues of `params`, for each number of threads.

    With one thread the clock is the processor's, which other processes do not stretch; with more it is the
    wall's. Cost: at N = 2^16 about ten seconds for each, and half a GiB.
    """
    samples = KernelSamples(params).samples()
    settings = []
    for count in dict.fromkeys(threads):
        with threads_set(count):
            now = clock(count, params.ring.device)
            times = _times(samples, count, rounds, now)
            between = operation_seconds(params, now)
        say(f"{len(times)} kernels measured with {count} thread{'s' if count > 1 else ''}")
        settings.append(_setting(count, samples, times, between))
    return DeviceFile(
        name=name,
        provenance=provenance,
        log_degree=params.log_degree,
        memory_bytes=memory_bytes,
        settings=tuple(settings),
    )


def clock(threads: int, device: torch.device) -> Callable[[], float]:
    """Seconds: of the processor for one thread, of the wall for more; of a GPU, when all that it was given is
    done, of the wall.
    """
    if device.type == "cuda":

        def now() -> float:
            finish(device)
            return time.perf_counter()

        return now
    return time.process_time if threads == 1 else time.perf_counter


def _times(
    samples: Mapping[str, Sample], threads: int, rounds: int, now: Callable[[], float]
) -> dict[str, Quantiles]:
    """Seconds of a run of each; the first of a round is not timed: it finds other memory in the caches."""
    found: dict[str, list[float]] = {name: [] for name in samples}
    for _ in range(rounds):
        for name, sample in samples.items():
            for run in range(RUNS + 1):
                if threads > 1:
                    time.sleep(SETTLE_S)
                start = now()
                result = sample.run()
                seconds = now() - start
                del result
                if run:
                    found[name].append(seconds)
    return {name: quantiles(seconds) for name, seconds in found.items()}


def _setting(
    threads: int, samples: Mapping[str, Sample], times: Mapping[str, Quantiles], between: float
) -> Setting:
    median = {key: found.median for key, found in times.items()}
    fastest = {key: found.min for key, found in times.items()}
    return Setting(
        threads=threads,
        median=kernel_seconds(samples, median),
        fastest=kernel_seconds(samples, fastest),
        memory_bytes_per_second=samples["copy"].takes["copy"] / fastest["copy"],
        operation_seconds=between,
    )


def kernel_seconds(samples: Mapping[str, Sample], times: Mapping[str, float]) -> KernelSeconds:
    """Seconds of a row of every kernel from those of the samples."""
    found: dict[str, float] = {}
    for pair in PAIRS:
        found |= _pair(pair, samples, times)
    for name, kernel in OF_SAMPLE.items():
        takes = samples[name].takes
        rest = times[name] - sum(count * found[other] for other, count in takes.items() if other != kernel)
        found[kernel] = max(rest, LEAST_SHARE * times[name]) / takes[kernel]
    return KernelSeconds(**found)


def _pair(
    pair: tuple[str, str, str, str], samples: Mapping[str, Sample], times: Mapping[str, float]
) -> dict[str, float]:
    """Two equations in two kernels; where noise makes one negative it gets little, and the other the rest."""
    kernel, most, other, least = pair
    many, few = samples[most].takes, samples[least].takes
    determinant = many[kernel] * few[other] - few[kernel] * many[other]
    exact = (times[most] * few[other] - times[least] * many[other]) / determinant
    smallest, largest = (share * times[most] / many[kernel] for share in (LEAST_SHARE, 1 - LEAST_SHARE))
    first = min(max(exact, smallest), largest)
    return {kernel: first, other: (times[most] - first * many[kernel]) / many[other]}
