"""CUDA C++ to machine code of one architecture, by NVRTC: no toolkit is installed and no GPU is asked."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from aegis_fhe.errors import ParameterError

Arithmetic: TypeAlias = Literal["Fp64", "Words"]
"""Modular products in doubles by fused multiply-add, or in 64-bit words; see csrc/device/arithmetic.h."""

SOURCES = Path(__file__).parents[2] / "csrc"
_SHARED = ("modular.h", "fp64.h", "fp64_field.h", "fp64_sums.h", "rounding.h")
_ENTRY = re.compile(
    r"entry function 'aegis_(?P<name>\w+)'.*?(?P<stack>\d+) bytes stack frame, "
    r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class KernelResources:
    """What one kernel takes of a multiprocessor, as the assembler says. Shared memory is chosen at launch.

    registers: of a thread. stack_bytes, spill_bytes: of a thread, in slow memory; values that lie there cost
    a trip to the first cache.
    """

    name: str
    registers: int
    stack_bytes: int
    spill_bytes: int


@dataclass(frozen=True, kw_only=True)
class KernelImage:
    """Machine code of all kernels (cubin), and what each of them takes."""

    code: bytes
    resources: tuple[KernelResources, ...]


def source_digest() -> str:
    """Hex SHA-256 of every file that the kernels are compiled from."""
    digest = hashlib.sha256()
    for path in [*sorted((SOURCES / "device").iterdir()), *(SOURCES / name for name in _SHARED)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def compiler_version() -> str:
    """Of NVRTC. Raises ParameterError where the packages are not installed."""
    _, version = _compiler()
    return version


def compile_kernels(architecture: str, arithmetic: Arithmetic) -> KernelImage:
    """All kernels for one architecture, such as "sm_90". Cost: seconds; see `cache`.

    Raises ParameterError with the compiler's own words when it refuses, or where it is not installed.
    """
    core, _ = _compiler()
    log = io.StringIO()
    options = core.ProgramOptions(
        std="c++17",
        arch=architecture,
        include_path=[str(SOURCES)],
        no_source_include=True,
        define_macro=[("AEGIS_ARITHMETIC", arithmetic)],
        device_as_default_execution_space=True,
        device_int128=True,
        fma=False,  # fused where the source says so: the same operations as on the CPU
        ptxas_options="-v",
    )
    try:
        compiled = core.Program('#include "device/entry.cu"', "c++", options).compile("cubin", logs=log)
    except Exception as error:
        raise ParameterError(f"the GPU kernels do not compile for {architecture}: {error}") from error
    return KernelImage(code=bytes(compiled.code), resources=_resources(log.getvalue()))


def _resources(log: str) -> tuple[KernelResources, ...]:
    return tuple(
        KernelResources(
            name=found["name"],
            registers=int(found["registers"]),
            stack_bytes=int(found["stack"]),
            spill_bytes=int(found["stores"]) + int(found["loads"]),
        )
        for found in _ENTRY.finditer(log)
    )


def _compiler() -> tuple[Any, str]:
    """The package that calls NVRTC, and the version of the library that it found."""
    try:
        from cuda import core
        from cuda.bindings import nvrtc

        _, major, minor = nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError) as error:  # the library is looked for at the first call
        raise ParameterError(
            "a GPU's kernels are compiled by NVRTC, which is not found here: pip install 'aegis-fhe[cuda]' "
            f"({error})"
        ) from error
    return core, f"{major}.{minor}"
