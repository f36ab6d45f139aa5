"""The GPUs of this machine, one for each of its workers, and when one has done what it was told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from aegis_fhe.errors import CapacityError, ParameterError
from aegis_fhe.ring import native
from aegis_fhe.ring.cuda.compiler import compiler_version
from aegis_fhe.ring.cuda.device import check_device, open_device

GIB = 2**30
ARITHMETICS = {"Fp64": "doubles by fused multiply-add", "Words": "64-bit words"}
DRIVER_FILE = Path("/proc/driver/nvidia/version")


def require_gpus(kernels: str, workers: int) -> None:
    """Checks, before any work, that each of so many workers of this machine finds the GPU `kernels` wants.

    Raises ParameterError where torch finds none, or where a number is named that several would share;
    CapacityError where there are fewer than workers.
    """
    if not native.on_gpu(kernels):
        return
    check_device(kernels)
    if workers > 1 and ":" in kernels:
        raise ParameterError(
            f"{workers} workers cannot share the GPU {kernels!r}: name no number, and each takes one"
        )
    found = torch.cuda.device_count()
    if workers > found:
        raise CapacityError(
            f"{workers} workers, this machine has {found} GPU{'s' if found > 1 else ''}: each takes one; use "
            "fewer devices, or the processor's kernels"
        )


def own_path(kernels: str, local_rank: int, workers: int) -> str:
    """The kernel path of one of the workers of a machine: of "cuda" the GPU of its number among them.

    Raises as `require_gpus`.
    """
    require_gpus(kernels, workers)
    shared = native.on_gpu(kernels) and ":" not in kernels
    return f"{kernels}:{local_rank}" if shared else kernels


def enter(path: str) -> torch.device:
    """Where the tensors of a path lie; a GPU is this process's current one from now on."""
    if not native.on_gpu(path):
        return torch.device("cpu")
    device = check_device(path)
    torch.cuda.set_device(device)
    return device


def finish(device: torch.device) -> None:
    """Returns when the current stream has done all that it was given; what others move goes on."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def gpu_facts(device: torch.device) -> dict[str, Any]:
    """Name, memory, driver, compiler of the kernels, and the arithmetic that was faster on it."""
    return {
        "name": torch.cuda.get_device_name(device),
        "memory_bytes": torch.cuda.get_device_properties(device).total_memory,
        "driver": driver_version(),
        "nvrtc": compiler_version(),
        "arithmetic": open_device(device).arithmetic,
    }


def gpu_line(device: torch.device) -> str:
    """The facts for people."""
    facts = gpu_facts(device)
    return (
        f"{facts['name']}, driver {facts['driver'] or 'unknown'}, NVRTC {facts['nvrtc']}, products in "
        f"{ARITHMETICS[facts['arithmetic']]}"
    )


def driver_version() -> str | None:
    """The driver's own, such as "580.65.06", as its kernel module says; None where it does not."""
    try:
        text = DRIVER_FILE.read_text()
    except OSError:
        return None
    found = re.search(r"Kernel Module\b.*?\s(\d+(?:\.\d+)+)", text)
    return found[1] if found else None


def require_gpu_memory(kernels: str, worker_bytes: int, what: str) -> None:
    """Raises CapacityError when a worker's share exceeds what the GPUs it may take have left."""
    if not native.on_gpu(kernels):
        return
    device = check_device(kernels)
    free, _ = torch.cuda.mem_get_info(device)
    if worker_bytes > free:
        raise CapacityError(
            f"{what} needs {worker_bytes / GIB:.2f} GiB on each GPU, {free / GIB:.2f} GiB are free on "
            f"{torch.cuda.get_device_name(device)}: use more devices, a shorter text or a larger GPU"
        )
