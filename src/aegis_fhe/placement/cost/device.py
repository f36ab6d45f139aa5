"""How fast a device is: seconds of each kernel, bytes per second of its memory, and where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from aegis_fhe.errors import ParameterError
from aegis_fhe.placement.cost.chain import RESIDUE_BYTES
from aegis_fhe.placement.cost.kernels import KERNELS, TRANSFORMS, KernelCounts
from aegis_fhe.placement.cost.links import MEASURED
from aegis_fhe.placement.cost.struct_file import read_struct, write_struct

FORMAT, VERSION = "aegis-device", 1

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e3)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e3)]
Rate = Annotated[float, msgspec.Meta(ge=1e6, le=1e15)]
Bytes = Annotated[int, msgspec.Meta(ge=1 << 20, lt=2**50)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
Threads = Annotated[int, msgspec.Meta(ge=1, le=4096)]
LogDegree = Annotated[int, msgspec.Meta(ge=5, le=17)]


class KernelSeconds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds for one row of each kernel of `KernelCounts`; of an embedding, for a vector of N/2 slots."""

    ntt: Positive
    inverse_ntt: Positive
    conversion_product: Positive
    conversion_row: Seconds
    key_product: Positive
    key_row: Seconds
    joined: Seconds
    quotient: Seconds
    rescaled: Seconds
    automorphism: Seconds
    accumulation: Seconds
    addition: Positive
    product: Positive
    combined_product: Positive
    combined_row: Seconds
    periodic_product: Positive
    periodic_row: Seconds
    tensor_product: Positive
    tensor_row: Seconds
    embedding: Seconds
    uniform: Seconds


class DeviceModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device. kernels: at N = 2^log_degree. provenance: "measured on ..." or "projected from ...".
    threads: of a processor, with how many it was measured. operation_seconds: of the interpreter, for each
    operation whatever its rows; none where operations are queued ahead of a device that is busy meanwhile.
    """

    name: Name
    provenance: Text
    log_degree: LogDegree
    kernels: KernelSeconds
    memory_bytes: Bytes
    memory_bytes_per_second: Rate
    threads: Threads | None = None
    operation_seconds: Seconds = 0.0

    @property
    def measured(self) -> bool:
        """Whether its kernels ran on a machine, and are no projection."""
        return self.provenance.startswith(MEASURED)

    def seconds(self, counts: KernelCounts, degree: int) -> float:
        """max(kernels one after the other, memory_rows at the rate of memory).

        Transforms grow as N log N from the degree that was measured, everything else as N.
        """
        return max(self.computing_seconds(counts, degree), self.memory_seconds(counts, degree))

    def computing_seconds(self, counts: KernelCounts, degree: int) -> float:
        """Kernels one after the other."""
        length = degree / (1 << self.log_degree)
        longer = length * (degree.bit_length() - 1) / self.log_degree
        seconds = 0.0
        for name in KERNELS:
            scale = longer if name in TRANSFORMS else length
            seconds += getattr(counts, name) * getattr(self.kernels, name) * scale
        return seconds

    def memory_seconds(self, counts: KernelCounts, degree: int) -> float:
        """What must pass memory at the least."""
        return counts.memory_rows * degree * RESIDUE_BYTES / self.memory_bytes_per_second


class Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measurement: median of the runs, which a busy machine stretches, and the fastest run."""

    threads: Threads
    median: KernelSeconds
    fastest: KernelSeconds
    memory_bytes_per_second: Rate
    operation_seconds: Seconds = 0.0


class DeviceFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `aegis calibrate --kernels` writes: one machine with different numbers of threads."""

    name: Name
    provenance: Text
    log_degree: LogDegree
    memory_bytes: Bytes
    settings: Annotated[tuple[Setting, ...], msgspec.Meta(min_length=1)]
    format: str = FORMAT
    version: int = VERSION

    def __post_init__(self) -> None:
        if len({setting.threads for setting in self.settings}) != len(self.settings):
            raise ValueError("settings repeat a number of threads: each may occur once")

    def device(self, threads: int | None = None, *, fastest: bool = False) -> DeviceModel:
        """The machine with so many threads, by default as many as were measured. Raises ParameterError."""
        by_threads = {setting.threads: setting for setting in self.settings}
        wanted = max(by_threads) if threads is None else threads
        if wanted not in by_threads:
            raise ParameterError(
                f"{self.name} was not measured with {wanted} threads but {sorted(by_threads)}: choose one "
                "of these, or calibrate it anew"
            )
        found = by_threads[wanted]
        return DeviceModel(
            name=self.name,
            provenance=self.provenance,
            log_degree=self.log_degree,
            kernels=found.fastest if fastest else found.median,
            memory_bytes=self.memory_bytes,
            memory_bytes_per_second=found.memory_bytes_per_second,
            threads=wanted,
            operation_seconds=found.operation_seconds,
        )


def read_device_file(path: Path) -> DeviceFile:
    """A calibration. Raises ContainerError: see `read_struct`."""
    cure = "write one with `aegis calibrate --kernels`"
    return read_struct(path, DeviceFile, FORMAT, VERSION, cure)


def write_device_file(path: Path, found: DeviceFile) -> None:
    """Raises ContainerError where nothing can be written."""
    write_struct(path, found)
