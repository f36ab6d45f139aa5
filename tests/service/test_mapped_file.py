"""A mapped container gives the same tensors as a read one, and refuses the same files."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from aegis_fhe.errors import ContainerError
from aegis_fhe.service import mapped_file
from aegis_fhe.service.container import ContainerReader, ContainerWriter
from aegis_fhe.service.container_writer import ALIGNMENT
from aegis_fhe.service.mapped_file import MAPPED_FROM_BYTES, map_file, write_at

LARGE = torch.arange(3 << 10).reshape(3, -1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Chunks of every size in turn, so that their places in the file are of all kinds."""
    with ContainerWriter(tmp_path / "x", "keys") as writer:
        for number in range(9):
            writer.add(
                f"large{'-' * number}", {"b": LARGE + number, "s": torch.tensor([7], dtype=torch.uint8)}
            )
            writer.add(f"small{'-' * number}", {"b": torch.arange(number)})
    return tmp_path / "x"


def test_mapped_and_read_tensors_are_equal_and_outlive_the_reader(path: Path) -> None:
    with ContainerReader(path, "keys") as reader, ContainerReader(path, "keys", mapped=True) as mapper:
        read, mapped = list(reader), list(mapper)
    path.unlink()
    for one, other in zip(read, mapped, strict=True):
        assert (one.name, one.metadata) == (other.name, other.metadata)
        assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


def test_large_tensors_are_views_of_the_file_and_aligned(path: Path) -> None:
    with ContainerReader(path, "keys", mapped=True) as reader:
        tensors = [chunk.tensors["b"] for chunk in reader if chunk.name.startswith("large")]
    assert len(tensors) == 9
    assert {tensor.data_ptr() % ALIGNMENT for tensor in tensors} == {0}
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors}) == 1  # one map, no copies


def test_what_is_written_to_a_mapped_tensor_stays_out_of_the_file(path: Path) -> None:
    before = path.read_bytes()
    with ContainerReader(path, "keys", mapped=True) as reader:
        reader.read("large").tensors["b"].zero_()
    assert path.read_bytes() == before


def test_damage_anywhere_in_a_mapped_chunk_is_refused(path: Path) -> None:
    data = path.read_bytes()
    with ContainerReader(path, "keys") as reader:
        size = reader.chunk_bytes("large")
        start = data.index(b"CHNK")
    for place in range(start, start + size, 97):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with ContainerReader(path, "keys", mapped=True) as reader, pytest.raises(ContainerError):
            reader.read("large")


def test_a_file_that_cannot_be_mapped_is_read_instead(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no such device")

    monkeypatch.setattr("aegis_fhe.service.mapped_file.mmap.mmap", refuse)
    with path.open("rb") as file:
        assert map_file(file.fileno(), 10) is None
    with ContainerReader(path, "keys", mapped=True) as reader:
        assert torch.equal(reader.read("large").tensors["b"], LARGE)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "written", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def test_pages_written_by_several_threads_are_the_file(file: int) -> None:
    """Neighbours share pages, for no piece begins or ends where a page does."""
    sizes = [MAPPED_FROM_BYTES + 1, 5, MAPPED_FROM_BYTES - 1, 3 * MAPPED_FROM_BYTES + 77, 1] * 3
    pieces = [memoryview(os.urandom(size)) for size in sizes]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda i: write_at(file, pieces[i], starts[i]), range(len(sizes)))) == sizes
    assert os.pread(file, sum(sizes) + 1, 0) == b"".join(pieces)


def test_a_file_that_cannot_be_mapped_is_written_all_the_same(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(mapped_file.mmap, "mmap", refuse)
    data = memoryview(os.urandom(MAPPED_FROM_BYTES))
    assert write_at(file, data, 100) == len(data)
    assert os.pread(file, len(data), 100) == data


def test_no_room_for_pages_is_an_error_before_any_is_touched(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(mapped_file.os, "posix_fallocate", full)
    monkeypatch.setattr(mapped_file, "mmap", None)
    with pytest.raises(OSError, match="No space left"):
        write_at(file, memoryview(bytes(MAPPED_FROM_BYTES)), 0)
    assert os.fstat(file).st_size == 0
