"""Reading a container: every length is bounded first, nothing returned before its checksum matches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import torch
from torch import Tensor

from aegis_fhe.errors import CapacityError, ContainerError
from aegis_fhe.service.container_digest import PIECE_BYTES, DigestThread, RunningDigest
from aegis_fhe.service.container_format import (
    DAMAGED,
    DIGEST_BYTES,
    END,
    FOOTER,
    MAGIC,
    PREAMBLE,
    RECORD,
    RECORD_TAG,
    VERSION,
    Header,
    IndexEntry,
    Json,
    Limits,
    RecordHeader,
    decode_json,
    whole_digest,
)
from aegis_fhe.service.container_tensors import decode_tensors
from aegis_fhe.service.mapped_file import map_file

MAPPED_ALIGNMENT = 8  # of the widest type: a payload that starts elsewhere is copied, which aligns it


class Chunk(NamedTuple):
    """A named group of tensors (views into one buffer, or into the mapped file) and its metadata."""

    name: str
    tensors: dict[str, Tensor]
    metadata: dict[str, Json]


class ContainerReader:
    """Opens a container of the given kind; chunks are read one at a time, in order or by name.

    Opening checks magic, version, kind, metadata, index and the whole checksum; reading a chunk checks its
    own checksum, then every tensor's type, shape and place. Memory: one chunk, no second copy, never more
    than the file's length. Safe for reading from several threads. Use as a context manager, or call `close`.

    mapped: where the system can, tensors are views of the file's pages in the system's cache instead of
    copies (see `map_file`: nobody may write to the file as long as a tensor lives). The checks are the same,
    made on those pages, on the calling thread.

    Raises `ContainerError` (one line: what is wrong, and the cure), `CapacityError` (a chunk does not fit).
    """

    def __init__(
        self, path: str | os.PathLike[str], kind: str, *, limits: Limits | None = None, mapped: bool = False
    ) -> None:
        self.path = Path(path)
        self.kind = kind
        self._limits = limits or Limits()
        try:
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ContainerError(f"{self.path} cannot be read ({error.strerror}); check the path") from error
        self._digests = DigestThread()
        self.digest = ""
        try:
            self.total_bytes = os.fstat(self._file).st_size
            preamble = self._read_header()
            self._index = self._read_index(preamble)
            self._map = map_file(self._file, self.total_bytes) if mapped else None
        except BaseException:
            self.close()
            raise

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the chunks, in file order."""
        return tuple(self._index)

    def chunk_bytes(self, name: str) -> int:
        """Bytes of a chunk in the file; memory of its tensors is at most this."""
        return self._entry(name).size

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[Chunk]:
        return (self.read(name) for name in self._index)

    def read(self, name: str) -> Chunk:
        """Read and check one chunk. Raises `ContainerError` when it is absent or damaged."""
        entry = self._entry(name)
        where = f"{self.path}: chunk {name!r}"
        head = self._bytes(entry.offset, RECORD.size)
        tag, header_bytes, payload_bytes = RECORD.unpack(head)
        inner = RECORD.size + header_bytes + payload_bytes
        if tag != RECORD_TAG or inner + DIGEST_BYTES != entry.size:
            raise ContainerError(f"{where}: its head does not match the index; {DAMAGED}")
        if header_bytes > self._limits.record_header_bytes or payload_bytes > self._limits.chunk_bytes:
            raise ContainerError(f"{where} of {entry.size} bytes is over this reader's limits; split it")
        digest = self._digests.start()
        digest.update(head)
        header = self._bytes(entry.offset + RECORD.size, header_bytes)
        digest.update(header)
        payload = self._payload(entry.offset + RECORD.size + header_bytes, payload_bytes, digest, where)
        stored = self._bytes(entry.offset + inner, DIGEST_BYTES)
        if not digest.digest() == stored == bytes.fromhex(entry.sha256):
            raise ContainerError(f"{where} is damaged (its checksum differs); {DAMAGED}")
        record = decode_json(header, RecordHeader, f"{where}: metadata")
        if record.name != name:
            raise ContainerError(f"{where} calls itself {record.name!r}; {DAMAGED}")
        return Chunk(name, decode_tensors(payload, self._limits, where), record.metadata)

    def close(self) -> None:
        """Close the file; chunks already read stay valid."""
        self._digests.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> ContainerReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_header(self) -> bytes:
        head = self._bytes(0, min(PREAMBLE.size, self.total_bytes))
        if head[: len(MAGIC)] != MAGIC:
            raise ContainerError(f"{self.path} is not an AEGIS file; give a file of kind {self.kind!r}")
        if len(head) < PREAMBLE.size:
            raise ContainerError(f"{self.path} is truncated to {self.total_bytes} bytes; {DAMAGED}")
        _, version, header_bytes = PREAMBLE.unpack(head)
        if version > VERSION:
            raise ContainerError(
                f"{self.path} has format version {version}, this program reads {VERSION}; update aegis-fhe"
            )
        if version < 1 or header_bytes > self._limits.header_bytes:
            raise ContainerError(f"{self.path} has a damaged header; {DAMAGED}")
        header = self._bytes(PREAMBLE.size, header_bytes)
        decoded = decode_json(header, Header, f"{self.path}: header")
        if decoded.kind != self.kind:
            raise ContainerError(
                f"{self.path} is of kind {decoded.kind!r}; give a file of kind {self.kind!r} here"
            )
        self.metadata: dict[str, Json] = decoded.metadata
        return head + header

    def _read_index(self, preamble: bytes) -> dict[str, IndexEntry]:
        footer_offset = self.total_bytes - FOOTER.size
        footer = self._bytes(max(footer_offset, 0), FOOTER.size)
        index_offset, index_bytes, checksum, end = FOOTER.unpack(footer)
        if end != END:
            raise ContainerError(
                f"{self.path} does not end as it should: truncated, or something was appended; {DAMAGED}"
            )
        if index_offset + index_bytes != footer_offset or index_bytes > self._limits.index_bytes:
            raise ContainerError(f"{self.path}: its index does not fit the file's length; {DAMAGED}")
        data = self._bytes(index_offset, index_bytes)
        if whole_digest(preamble, data, index_offset) != checksum:
            raise ContainerError(f"{self.path} is damaged (the whole checksum differs); {DAMAGED}")
        self.digest = checksum.hex()
        return self._check_index(
            decode_json(data, list[IndexEntry], f"{self.path}: index"), len(preamble), index_offset
        )

    def _check_index(self, entries: list[IndexEntry], position: int, end: int) -> dict[str, IndexEntry]:
        index = {entry.name: entry for entry in entries}
        if len(index) != len(entries) or len(entries) > self._limits.chunks:
            raise ContainerError(f"{self.path} has repeated or too many chunk names; create the file again")
        for entry in entries:
            if entry.offset != position:
                raise ContainerError(
                    f"{self.path}: chunk {entry.name!r} is not where the last one ended; {DAMAGED}"
                )
            position += entry.size
        if position != end:
            raise ContainerError(f"{self.path}: {end - position} bytes belong to no chunk; {DAMAGED}")
        return index

    def _entry(self, name: str) -> IndexEntry:
        if name not in self._index:
            raise ContainerError(f"{self.path} has no chunk {name!r:.80}; it has {len(self._index)} others")
        return self._index[name]

    def _payload(self, offset: int, length: int, digest: RunningDigest, where: str) -> Tensor:
        self._check_inside(offset, length)
        if self._map is not None and offset % MAPPED_ALIGNMENT == 0:
            payload = self._map[offset : offset + length]
            digest.update_here(payload.numpy().data)
            return payload
        try:
            payload = torch.empty(length, dtype=torch.uint8)
        except RuntimeError:
            raise CapacityError(
                f"{where} needs {length / 2**30:.2f} GiB of memory; free some, or use a larger machine"
            ) from None
        view = payload.numpy().data
        for begin in range(0, length, PIECE_BYTES):
            piece = view[begin : begin + PIECE_BYTES]
            self._fill(piece, offset + begin)
            digest.update(piece)
        return payload

    def _bytes(self, offset: int, length: int) -> bytes:
        self._check_inside(offset, length)
        data = bytearray(length)
        self._fill(memoryview(data), offset)
        return bytes(data)

    def _check_inside(self, offset: int, length: int) -> None:
        if offset + length > self.total_bytes:
            raise ContainerError(
                f"{self.path} is truncated: {self.total_bytes} bytes of at least {offset + length}; {DAMAGED}"
            )

    def _fill(self, view: memoryview, offset: int) -> None:
        while view:
            try:
                count = os.preadv(self._file, [view], offset)
            except OSError as error:
                cause = error.strerror
                raise ContainerError(f"{self.path} cannot be read ({cause}); check the disk") from error
            if count == 0:
                raise ContainerError(f"{self.path} was cut short while it was being read; {DAMAGED}")
            offset += count
            view = view[count:]
