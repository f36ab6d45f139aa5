"""A GPU ready for rings: its kernels compiled and loaded, its arithmetic chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch

from aegis_fhe.errors import ParameterError
from aegis_fhe.ring import _kernels
from aegis_fhe.ring.cuda.arena import CudaArena
from aegis_fhe.ring.cuda.cache import remembered
from aegis_fhe.ring.cuda.compiler import Arithmetic, compile_kernels, compiler_version, source_digest
from aegis_fhe.ring.primes import find_primes, root_of_unity

_TRIAL_DEGREE, _TRIAL_LIMBS, _TRIAL_ROUNDS = 1 << 16, 24, 5


@dataclass(frozen=True)
class CudaDevice:
    """One GPU: the loaded kernels and what was found out about it."""

    device: torch.device
    launcher: _kernels.CudaLauncher
    arithmetic: Arithmetic

    def operations(
        self, log_degree: int, moduli: Sequence[int], roots: Sequence[int], arena: CudaArena
    ) -> _kernels.Ring:
        """The native operations of a ring, on torch's current stream."""
        native = _kernels.Ring.on_device(log_degree, moduli, roots, self.launcher, arena.take, arena.give)
        return cast(_kernels.Ring, OnStream(native, self.device))


class OnStream:
    """Native operations, each launched on the stream that is torch's current one when it is called."""

    def __init__(self, native: _kernels.Ring, device: torch.device) -> None:
        self.native, self.path = native, native.path
        self._index = device.index

    def periodic_sums(self, xs: Any, coefficients: Any, small: OnStream, *rest: Any) -> None:
        """`small` is such a wrapper too."""
        self._enter()
        self.native.periodic_sums(xs, coefficients, small.native, *rest)

    def _enter(self) -> None:
        _kernels.set_stream(torch._C._cuda_getCurrentRawStream(self._index))

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self.native, name)

        def run(*arguments: Any) -> Any:
            self._enter()
            return operation(*arguments)

        setattr(self, name, run)  # found without this function from now on
        return run


def check_device(path: str) -> torch.device:
    """The device that "cuda" or "cuda:1" names. Raises ParameterError when there is none."""
    try:
        device = torch.device(path)
    except RuntimeError as error:
        raise ParameterError(f"{path!r} names no GPU: {error}") from error
    if not torch.cuda.is_available():
        raise ParameterError(
            f"kernel path {path!r}: torch finds no GPU here (its build: {torch.__version__}); install a CUDA "
            "build of torch and NVIDIA's driver"
        )
    index = torch.cuda.current_device() if device.index is None else device.index
    if index >= torch.cuda.device_count():
        raise ParameterError(f"{path!r} names no GPU: this machine has {torch.cuda.device_count()}")
    return torch.device("cuda", index)


@cache
def open_device(device: torch.device) -> CudaDevice:
    """Its kernels in the arithmetic that is faster on it: compiled and measured once, kept on disk."""
    torch.cuda.init()  # type: ignore[no-untyped-call]
    choice = remembered(_facts(device, "choice"), lambda: _faster(device).encode())
    arithmetic: Arithmetic = "Fp64" if choice == b"Fp64" else "Words"
    return CudaDevice(device, _load(device, arithmetic), arithmetic)


def _faster(device: torch.device) -> Arithmetic:
    """The arithmetic whose transforms take less time, the least of some rounds each."""
    seconds = {name: _trial_seconds(device, name) for name in ("Fp64", "Words")}
    return "Fp64" if seconds["Fp64"] <= seconds["Words"] else "Words"


def _trial_seconds(device: torch.device, arithmetic: Arithmetic) -> float:
    moduli = find_primes(49, _TRIAL_DEGREE, _TRIAL_LIMBS)
    roots = [root_of_unity(q, _TRIAL_DEGREE) for q in moduli]
    found = CudaDevice(device, _load(device, arithmetic), arithmetic)
    native = found.operations(_TRIAL_DEGREE.bit_length() - 1, moduli, roots, CudaArena(device))
    x = torch.zeros((_TRIAL_LIMBS, _TRIAL_DEGREE), dtype=torch.int64, device=device)
    limbs, times = list(range(_TRIAL_LIMBS)), []
    with torch.cuda.device(device):
        for _ in range(_TRIAL_ROUNDS + 1):  # the first warms up
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            begin.record()
            native.ntt(x.data_ptr(), x.data_ptr(), 1, limbs)
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end))
    return float(min(times[1:]))


def _load(device: torch.device, arithmetic: Arithmetic) -> _kernels.CudaLauncher:
    major, minor = torch.cuda.get_device_capability(device)
    architecture = f"sm_{major}{minor}"
    image = remembered(
        _facts(device, arithmetic) | {"architecture": architecture, "compiler": compiler_version()},
        lambda: compile_kernels(architecture, arithmetic).code,
    )
    try:
        return _kernels.CudaLauncher(device.index, image, arithmetic == "Words")
    except RuntimeError as error:
        raise ParameterError(
            f"{error}; the kernels were compiled by NVRTC {compiler_version()}, the driver knows CUDA up to "
            f"{_driver()}: where it is the older one, update it or install the NVRTC of its release"
        ) from error


def _facts(device: torch.device, what: str) -> dict[str, str]:
    return {
        "what": what,
        "sources": source_digest(),
        "device": torch.cuda.get_device_name(device),
        "driver": _driver(),
    }


def _driver() -> str:
    """The newest CUDA that the driver knows, such as "13.0"."""
    version = torch._C._cuda_getDriverVersion()  # type: ignore[attr-defined]
    return f"{version // 1000}.{version % 1000 // 10}"
