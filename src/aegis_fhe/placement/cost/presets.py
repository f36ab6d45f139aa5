"""Devices by name: GPUs projected from published bootstraps, and machines measured into a file.

No kernel of ours has run on a GPU yet, so every GPU here is a projection from two published figures: the
seconds of one full-slot bootstrap at N = 2^16 on the card, and the bandwidth of its memory.

    multiply-add of a row (m) = seconds of the bootstrap / BOOTSTRAP_PRODUCTS
    NTT = log2(N) / 2 = 8 m, its modular products; rescaled 2 m; every other kernel m

BOOTSTRAP_PRODUCTS is our own bootstrap (`circuits.bootstrap.presets.n16`, plaintexts encoded in advance) in
these units: it is as if the published time were that of our program. Kernels without products (additions,
permutations) get m as well: they wait for memory. An encoding and a row drawn from a seed count as an NTT,
about which nothing is published. The bandwidth is the floor of every operation, residues taken as 8 bytes.

    card    bootstrap                                m         memory (data sheet)
    a100    42.5 ms, Cheddar (ASPLOS 2026)           0.145 us  40 GiB, 1.555 TB/s
    h100    31.2 ms, Cheddar                         0.106 us  80 GiB, 3.35 TB/s
    h200    31.2 ms * 3.35 / 4.8 = 21.8 ms           0.074 us  141 GiB, 4.8 TB/s

Nothing is published for the H200: kernels of this kind wait for memory (Theodosian, arXiv 2512.18345), so it
is taken as an H100 with a faster one. With the floor, which holds for each operation by itself, the model's
own bootstraps take 50, 34 and 23 ms. No third digit means anything. Others are faster: Cerium bootstraps in
16.5 ms on an A100 (SOSP 2026), with words of 4 bytes and fused kernels: less than 8 bytes per residue allow.
"""

from __future__ import annotations

from pathlib import Path

from aegis_fhe.errors import ParameterError
from aegis_fhe.placement.cost.device import DeviceModel, KernelSeconds, read_device_file
from aegis_fhe.placement.cost.kernels import KERNELS

LOG_DEGREE = 16
PRODUCTS = dict.fromkeys(KERNELS, 1.0) | {
    "ntt": LOG_DEGREE / 2,
    "inverse_ntt": LOG_DEGREE / 2,
    "embedding": LOG_DEGREE / 2,
    "uniform": LOG_DEGREE / 2,
    "rescaled": 2.0,
}
"""Modular products for each coefficient of a row."""

BOOTSTRAP_PRODUCTS = 293_234
"""Of our bootstrap, over all kernels; a test counts them."""

_CHEDDAR = "the published bootstrap of Cheddar (ASPLOS 2026)"


def _projected(name: str, bootstrap_seconds: float, origin: str, gib: int, bandwidth: float) -> DeviceModel:
    product = bootstrap_seconds / BOOTSTRAP_PRODUCTS
    return DeviceModel(
        name=name,
        provenance=f"projected from {origin}: {bootstrap_seconds * 1e3:.1f} ms; nothing was measured",
        log_degree=LOG_DEGREE,
        kernels=KernelSeconds(**{kernel: product * count for kernel, count in PRODUCTS.items()}),
        memory_bytes=gib << 30,
        memory_bytes_per_second=bandwidth,
    )


DEVICES = {
    "a100": _projected("a100", 42.5e-3, _CHEDDAR, 40, 1.555e12),
    "h100": _projected("h100", 31.2e-3, _CHEDDAR, 80, 3.35e12),
    "h200": _projected(
        "h200", 31.2e-3 * 3.35 / 4.8, f"{_CHEDDAR} on an H100, by bandwidth of memory", 141, 4.8e12
    ),
}
"""Projections by name; this machine is what `aegis calibrate --kernels` measures."""


def load_device(name: str | Path, threads: int | None = None, *, fastest: bool = False) -> DeviceModel:
    """A projection by its name, or a calibration from its file.

    threads: of a calibration, by default as many as were measured; fastest: its fastest runs instead of the
    median ones. Raises ParameterError for a name that is neither or threads that were not measured,
    ContainerError for a file that does not fit.
    """
    if isinstance(name, str) and name in DEVICES:
        if threads is not None:
            raise ParameterError(f"{name} is a projection and has no threads to choose")
        return DEVICES[name]
    path = Path(name)
    if not path.is_file():
        raise ParameterError(
            f"device {str(name)!r} is neither a file nor one of {', '.join(DEVICES)}: `aegis calibrate "
            "--kernels` measures this machine into a file"
        )
    return read_device_file(path).device(threads, fastest=fastest)
