"""The payload of a chunk: safetensors bytes, written without a copy and read by strict rules.

    payload = u64 header bytes, JSON header padded by spaces to 8, tensor data without gaps

Our own two functions rather than the library's, because `safetensors.torch.save` and `load` each copy all
data once, and so that every length is checked before it is used. The library reads our bytes and we read its.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Annotated

import msgspec
import torch
from torch import Tensor

from aegis_fhe.errors import ContainerError
from aegis_fhe.service.container_format import DAMAGED, Limits, Name, Size, check_name, decode_json

# No BOOL (a byte other than 0 or 1 is undefined behaviour) and no half precision: nothing of ours needs them.
DTYPES = {
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F32": torch.float32,
    "F64": torch.float64,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
LENGTH = struct.Struct("<Q")


class TensorInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor's entry in a safetensors header."""

    dtype: str
    shape: Annotated[list[Size], msgspec.Meta(max_length=64)]
    data_offsets: tuple[Size, Size]


def encode_tensors(
    tensors: Mapping[str, Tensor], limits: Limits, where: str
) -> tuple[bytes, list[Tensor], int]:
    """Return the safetensors header, the tensors in the order of their data, and the bytes of both together.

    Wide types first, so that each tensor is aligned. Raises `ContainerError` for a type, rank, count or name
    that the reader would refuse.
    """
    if len(tensors) > limits.tensors:
        raise ContainerError(f"{where} has {len(tensors)} tensors, at most {limits.tensors} fit; split it")
    entries: dict[str, TensorInfo] = {}
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    end = 0
    for name, tensor in ordered:
        check_name(name, Name, f"{where}: tensor name")
        if name == "__metadata__" or tensor.dtype not in DTYPE_NAMES or tensor.dim() > limits.dimensions:
            raise ContainerError(
                f"{where}: tensor {name!r} ({tensor.dtype}, {tensor.dim()} dimensions) cannot be stored; "
                f"use one of {', '.join(DTYPES)} and at most {limits.dimensions} dimensions"
            )
        start, end = end, end + tensor.numel() * tensor.element_size()
        entries[name] = TensorInfo(DTYPE_NAMES[tensor.dtype], list(tensor.shape), (start, end))
    header = msgspec.json.encode(entries)
    header += b" " * (-len(header) % 8)
    header = LENGTH.pack(len(header)) + header
    return header, [tensor for _, tensor in ordered], len(header) + end


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a tensor, row-major; no copy when it is contiguous and on the CPU."""
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def decode_tensors(payload: Tensor, limits: Limits, where: str) -> dict[str, Tensor]:
    """Views into `payload` (uint8, 1-D), one per tensor; they keep it alive and share its memory.

    Raises `ContainerError` for gaps, overlaps, foreign types, misalignment, shapes of other sizes.
    """
    total = payload.numel()
    header_bytes = LENGTH.unpack(bytes(payload[: LENGTH.size].numpy()))[0] if total >= LENGTH.size else total
    start = LENGTH.size + header_bytes
    if start > total:
        raise ContainerError(f"{where}: tensor header is longer than its chunk; {DAMAGED}")
    header = bytes(payload[LENGTH.size : start].numpy())
    infos = decode_json(header, dict[Name, TensorInfo], f"{where}: tensor header")
    if len(infos) > limits.tensors:
        raise ContainerError(f"{where} has {len(infos)} tensors, at most {limits.tensors} are read; split it")
    tensors: dict[str, Tensor] = {}
    position = 0
    for name, info in sorted(infos.items(), key=lambda item: item[1].data_offsets):
        check_info(info, position, start, limits, f"{where}: tensor {name!r}")
        begin, position = position, info.data_offsets[1]
        if start + position > total:
            raise ContainerError(f"{where}: tensor {name!r} ends after its chunk; {DAMAGED}")
        tensors[name] = payload[start + begin : start + position].view(DTYPES[info.dtype]).reshape(info.shape)
    if start + position != total:
        raise ContainerError(f"{where}: {total - start - position} bytes belong to no tensor; {DAMAGED}")
    return tensors


def check_info(info: TensorInfo, position: int, start: int, limits: Limits, where: str) -> None:
    """Raise `ContainerError` unless the type is known and the data start at `position`, aligned."""
    if info.dtype not in DTYPES or len(info.shape) > limits.dimensions:
        raise ContainerError(f"{where} is {info.dtype!r:.20} with {len(info.shape)} dimensions; {DAMAGED}")
    item_bytes = DTYPES[info.dtype].itemsize
    begin, end = info.data_offsets
    size = math.prod(info.shape) * item_bytes
    if math.prod(max(length, 1) for length in info.shape) >= 2**60:  # torch multiplies these, even beside a 0
        raise ContainerError(f"{where} has the impossible shape {info.shape}; {DAMAGED}")
    if begin != position or end - begin != size or (start + begin) % item_bytes:
        raise ContainerError(f"{where} of {size} bytes cannot lie at {begin}..{end}; {DAMAGED}")
