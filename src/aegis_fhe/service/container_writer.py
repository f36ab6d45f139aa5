"""Writing a container: streamed, atomic, and a full disk said plainly."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from torch import Tensor

from aegis_fhe.errors import CapacityError, ContainerError
from aegis_fhe.service.container_digest import PIECE_BYTES, DigestThread, RunningDigest
from aegis_fhe.service.container_format import (
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
    Kind,
    Limits,
    Name,
    RecordHeader,
    check_name,
    check_plain,
    encode_json,
    whole_digest,
)
from aegis_fhe.service.container_tensors import encode_tensors, tensor_bytes

# Tensor data of large chunks start on a cache line of the file, so that kernels can work on the mapped file.
ALIGNMENT, ALIGNED_FROM_BYTES = 64, 4096
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class ContainerWriter:
    """Streams named chunks of tensors into one file, which appears at `path` only when it is complete.

    Use as a context manager. The data go to a hidden `.partial` neighbour, are synced, and are renamed at the
    end; when the block raises, nothing is left behind and what was at `path` before stays. Memory: no copy of
    contiguous CPU tensors. `expected_bytes`, when known, is compared with the free space before the work.

    Raises `CapacityError` for a full disk, `ContainerError` for a path, name or metadata that cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        kind: str,
        metadata: Mapping[str, Json] | None = None,
        *,
        expected_bytes: int = 0,
        limits: Limits | None = None,
    ) -> None:
        self.path = Path(path)
        self._limits = limits or Limits()
        check_name(kind, Kind, f"{self.path}: kind")
        where = f"{self.path}: metadata"
        check_plain(metadata or {}, where)
        header = encode_json(Header(kind, dict(metadata or {})), self._limits.header_bytes, where)
        self._preamble = PREAMBLE.pack(MAGIC, VERSION, len(header)) + header
        self._expected_bytes = expected_bytes
        self._partial = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.partial")
        self._index: dict[str, IndexEntry] = {}
        self._offset = 0
        self._broken = False
        self._file = -1
        self._digests: DigestThread | None = None
        self.digest = ""  # the whole checksum in hex, known after the block

    def __enter__(self) -> ContainerWriter:
        try:
            free = shutil.disk_usage(self.path.parent).free
            if free < self._expected_bytes:
                raise CapacityError(
                    f"{self.path} needs {self._expected_bytes / 2**30:.2f} GiB, the disk has "
                    f"{free / 2**30:.2f} GiB free; free some space or write to another disk"
                )
            self._file = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._failure(error) from error
        self._digests = DigestThread()
        try:
            self._write(self._preamble, None)
        except BaseException:
            self._discard()
            raise
        return self

    def add(
        self, name: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, Json] | None = None
    ) -> None:
        """Append one chunk; its tensors must not change until this returns.

        Raises `ContainerError` for a name that is already there, a forbidden type, a chunk over the limits.
        """
        assert self._digests is not None, "add() outside the with-block"
        where = f"{self.path}: chunk {name!r:.80}"
        check_name(name, Name, f"{self.path}: chunk name")
        if name in self._index:
            raise ContainerError(f"{where} is already in the file; give each chunk its own name")
        if len(self._index) == self._limits.chunks:
            raise ContainerError(f"{where}: at most {self._limits.chunks} chunks fit; make them larger")
        check_plain(metadata or {}, f"{where}: metadata")
        record = RecordHeader(name, dict(metadata or {}))
        header = encode_json(record, self._limits.record_header_bytes, f"{where}: metadata")
        payload_header, ordered, payload_bytes = encode_tensors(tensors, self._limits, where)
        if payload_bytes >= ALIGNED_FROM_BYTES:
            data = self._offset + RECORD.size + len(header) + len(payload_header)
            header += b" " * (-data % ALIGNMENT)  # still JSON, and the digest covers it
        if payload_bytes > self._limits.chunk_bytes:
            raise ContainerError(
                f"{where} takes {payload_bytes} bytes, at most {self._limits.chunk_bytes} fit; split it"
            )
        start, digest = self._offset, self._digests.start()
        self._write(RECORD.pack(RECORD_TAG, len(header), payload_bytes) + header + payload_header, digest)
        for tensor in ordered:
            self._write(tensor_bytes(tensor), digest)
        checksum = digest.digest()
        self._write(checksum, None)
        self._index[name] = IndexEntry(name, start, self._offset - start, checksum.hex())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._discard()

    def _finish(self) -> None:
        if self._broken:
            raise ContainerError(f"{self.path} could not be written; see the error before this one")
        index = encode_json(list(self._index.values()), self._limits.index_bytes, f"{self.path}: index")
        index_offset = self._offset
        checksum = whole_digest(self._preamble, index, index_offset)
        self._write(index + FOOTER.pack(index_offset, len(index), checksum, END), None)
        try:
            os.fsync(self._file)
            os.replace(self._partial, self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)  # or the rename itself may not survive a power cut
            finally:
                os.close(folder)
        except OSError as error:
            raise self._failure(error) from error
        self.digest = checksum.hex()

    def _discard(self) -> None:
        if self._digests is not None:
            self._digests.close()
            self._digests = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._partial.unlink(missing_ok=True)  # already renamed when all went well

    def _write(self, data: bytes | memoryview, digest: RunningDigest | None) -> None:
        view = memoryview(data)
        for begin in range(0, len(view), PIECE_BYTES):
            piece = view[begin : begin + PIECE_BYTES]
            if digest is not None:
                digest.update(piece)
            while piece:
                try:
                    written = os.write(self._file, piece)
                except OSError as error:
                    self._broken = True
                    raise self._failure(error) from error
                self._offset += written
                piece = piece[written:]

    def _failure(self, error: OSError) -> Exception:
        if error.errno in FULL:
            return CapacityError(
                f"{self.path}: the disk is full after {self._offset / 2**30:.2f} GiB ({error.strerror}); "
                "free some space or write to another disk; nothing was left behind"
            )
        return ContainerError(f"{self.path} cannot be written ({error.strerror}); choose another path")
