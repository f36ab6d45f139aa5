"""Writing a container: streamed, atomic, and a full disk said plainly."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from torch import Tensor

from aegis_fhe.errors import CapacityError, ContainerError
from aegis_fhe.service.container_digest import PIECE_BYTES, DigestThread, RunningDigest
from aegis_fhe.service.container_format import (
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
from aegis_fhe.service.mapped_file import write_at

# Tensor data of large chunks start on a cache line of the file, so that kernels can work on the mapped file.
ALIGNMENT, ALIGNED_FROM_BYTES = 64, 4096
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class ContainerWriter:
    """Streams named chunks of tensors into one file, which appears at `path` only when it is complete.

    Use as a context manager. The data go to a hidden `.partial` neighbour, are synced, and are renamed at the
    end; when the block raises, nothing is left behind and what was at `path` before stays. Memory: no copy of
    contiguous CPU tensors. `expected_bytes`, when known, is compared with the free space before the work.
    `durable=False` leaves out the sync: for a file that is not worth more than this session, and may be lost
    or incomplete after a power cut.

    Raises `CapacityError` for a full disk, `ContainerError` for a path, name or metadata that cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        kind: str,
        metadata: Mapping[str, Json] | None = None,
        *,
        expected_bytes: int = 0,
        durable: bool = True,
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
        self._durable = durable
        self._index: dict[str, IndexEntry | None] = {}  # None: its place is taken, its bytes are not written
        self._offset = 0
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
            self._file = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._failure(error, 0) from error
        self._digests = DigestThread()
        try:
            self._offset = self._write(self._preamble, 0)
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
        self.place(name, tensors, metadata)()

    def place(
        self, name: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, Json] | None = None
    ) -> Callable[[], None]:
        """`add` in two halves: takes the next place in the file, and returns the call that writes the chunk.

        Those calls may run at the same time on several threads, all within the with-block. Raises as `add`.
        """
        digests = self._digests
        assert digests is not None, "a chunk outside the with-block"
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
        head = RECORD.pack(RECORD_TAG, len(header), payload_bytes) + header + payload_header
        start, size = self._offset, RECORD.size + len(header) + payload_bytes + DIGEST_BYTES
        self._offset += size
        self._index[name] = None

        def write() -> None:
            digest = digests.start()
            end = self._write(head, start, digest)
            for tensor in ordered:
                end = self._write(tensor_bytes(tensor), end, digest)
            checksum = digest.digest()
            end = self._write(checksum, end)
            assert end == start + size, (end, start, size)
            self._index[name] = IndexEntry(name, start, size, checksum.hex())

        return write

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._discard()

    def _finish(self) -> None:
        if None in self._index.values():
            raise ContainerError(f"{self.path} could not be written; see the error before this one")
        index = encode_json(list(self._index.values()), self._limits.index_bytes, f"{self.path}: index")
        index_offset = self._offset
        checksum = whole_digest(self._preamble, index, index_offset)
        end = self._write(index + FOOTER.pack(index_offset, len(index), checksum, END), index_offset)
        try:
            if self._durable:
                os.fsync(self._file)
            os.replace(self._partial, self.path)
            if self._durable:
                sync_folder(self.path.parent)  # or the rename itself may not survive a power cut
        except OSError as error:
            raise self._failure(error, end) from error
        self.digest = checksum.hex()

    def _discard(self) -> None:
        if self._digests is not None:
            self._digests.close()
            self._digests = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._partial.unlink(missing_ok=True)  # already renamed when all went well

    def _write(self, data: bytes | memoryview, offset: int, digest: RunningDigest | None = None) -> int:
        """Write at `offset` and append to the digest; where the data end."""
        view = memoryview(data)
        for begin in range(0, len(view), PIECE_BYTES):
            piece = view[begin : begin + PIECE_BYTES]
            if digest is not None:
                digest.update(piece)
            while piece:
                try:
                    written = write_at(self._file, piece, offset)
                except OSError as error:
                    raise self._failure(error, offset) from error
                offset += written
                piece = piece[written:]
        return offset

    def _failure(self, error: OSError, offset: int) -> Exception:
        if error.errno in FULL:
            return CapacityError(
                f"{self.path}: the disk is full after {offset / 2**30:.2f} GiB ({error.strerror}); "
                "free some space or write to another disk; nothing was left behind"
            )
        return ContainerError(f"{self.path} cannot be written ({error.strerror}); choose another path")


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
