"""What the bytes of a container are: fixed structures, JSON headers, index, limits.

All integers are little-endian. Every byte of a file is covered: chunks by the digest in their index entry,
all the rest by the whole checksum, SHA-256(preamble, header, index, index offset and length), in the footer.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from aegis_fhe.errors import ContainerError

Json: TypeAlias = Any  # plain JSON: None, bool, int, finite float, str, list, dict with string keys

VERSION = 1
MAGIC = b"\x89AEGIS\r\n"  # as PNG does: a text-mode transfer or a 7-bit channel breaks it at once
RECORD_TAG = b"CHNK"
END = b"AEGISEND"
PREAMBLE = struct.Struct("<8sII")  # magic, version, header bytes
RECORD = struct.Struct("<4sIQ")  # tag, record header bytes, payload bytes
FOOTER = struct.Struct("<QQ32s8s")  # index offset, index bytes, whole checksum, end mark
DIGEST_BYTES = 32
DAMAGED = "transfer or create the file again"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"\A[ -~]+\Z")]
Kind = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{0,31}\Z")]
Size = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
Hex = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Upper bounds, checked by the writer and, before any allocation, by the reader."""

    header_bytes: int = 16 << 20
    record_header_bytes: int = 1 << 20
    index_bytes: int = 64 << 20
    chunk_bytes: int = 8 << 30
    chunks: int = 1 << 16
    tensors: int = 1 << 14
    dimensions: int = 8


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """First JSON of a file: what it is for, and the caller's metadata."""

    kind: Kind
    metadata: dict[str, Json]


class RecordHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """JSON before each payload."""

    name: Name
    metadata: dict[str, Json]


class IndexEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a chunk lies: `size` counts record head, header, payload and digest."""

    name: Name
    offset: Size
    size: Size
    sha256: Hex


T = TypeVar("T")


def decode_json(data: bytes, kind: type[T], where: str) -> T:
    """Decode bounded JSON into `kind`; any fault becomes a `ContainerError` naming `where`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (ValueError, RecursionError) as error:  # msgspec's and Unicode errors are ValueErrors
        raise ContainerError(f"{where} is not readable ({error}); {DAMAGED}") from None


def encode_json(value: object, limit: int, where: str) -> bytes:
    """Encode to JSON of at most `limit` bytes; raises `ContainerError`."""
    try:
        data = msgspec.json.encode(value)
    except (ValueError, RecursionError) as error:
        raise ContainerError(f"{where} cannot be stored ({error}); use plain JSON values") from None
    if len(data) > limit:
        raise ContainerError(
            f"{where} takes {len(data)} bytes, at most {limit} fit; use tensors for bulk data"
        )
    return data


def check_plain(value: Json, where: str) -> None:
    """Refuse what JSON would change silently: NaN, infinities, integers over 64 bits, other types."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise ContainerError(f"{where} has the key {key!r}; only strings can be keys")
            check_plain(entry, where)
    elif isinstance(value, list | tuple):
        for entry in value:
            check_plain(entry, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ContainerError(f"{where} holds {value}; only finite numbers can be stored")
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ContainerError(f"{where} holds an integer over 64 bits; store it as a string")
    elif not isinstance(value, None | bool | int | float | str):
        raise ContainerError(
            f"{where} holds a {type(value).__name__}; use plain JSON values, tensors for the rest"
        )


def check_name(value: str, kind: object, where: str) -> None:
    """Raise `ContainerError` unless `value` satisfies `Name` or `Kind`."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ContainerError(f"{where} {value!r:.80} cannot be used ({error})") from None


def whole_digest(preamble_and_header: bytes, index: bytes, index_offset: int) -> bytes:
    """The whole checksum of the footer; chunk digests enter through the index, so nothing is hashed twice."""
    return hashlib.sha256(preamble_and_header + index + struct.pack("<QQ", index_offset, len(index))).digest()
