"""Small JSON files that a user may write or edit, read as checked structures."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from aegis_fhe.errors import ContainerError

LARGEST_BYTES = 1 << 20


class Stamped(Protocol):
    """A structure that says what it is, and of which version."""

    @property
    def format(self) -> str:
        """Kind of file."""
        ...

    @property
    def version(self) -> int:
        """Version of the kind."""
        ...


class _Stamp(msgspec.Struct):
    format: str
    version: int


T = TypeVar("T", bound=Stamped)


def read_struct(
    path: Path, kind: type[T], format: str, version: int, cure: str, *, largest_bytes: int = LARGEST_BYTES
) -> T:
    """The structure in a file.

    Raises ContainerError: unreadable, larger than `largest_bytes`, no JSON, of another kind or version, or a
    field that is missing, unknown or out of range; `cure` ends the message.
    """
    data = _bytes_of(path, largest_bytes)
    try:
        stamp = msgspec.json.decode(data, type=_Stamp)
        if stamp.format != format:
            raise ContainerError(f"{path} is a file of kind {stamp.format!r}, not {format!r}: {cure}")
        if stamp.version != version:
            raise ContainerError(f"{path} is of version {stamp.version}, not {version}: {cure}")
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContainerError(f"{path} is not a file of kind {format!r}: {error}; {cure}") from None


def write_struct(path: Path, value: Stamped) -> None:
    """As JSON that people can read. Raises ContainerError where nothing can be written."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1))
    except OSError as error:
        raise ContainerError(f"{path} cannot be written: {error.strerror}; choose another place") from None


def _bytes_of(path: Path, largest_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(largest_bytes + 1)
    except OSError as error:
        raise ContainerError(f"{path} cannot be read: {error.strerror}; check its name") from None
    if len(data) > largest_bytes:
        raise ContainerError(f"{path} has more than {largest_bytes} bytes, which no such file has")
    return data
