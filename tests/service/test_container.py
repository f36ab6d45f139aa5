"""The container gives back what was put in, and refuses everything else in one line."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import resource
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_fhe.errors import CapacityError, ContainerError
from aegis_fhe.service import container_writer
from aegis_fhe.service.container import ContainerReader, ContainerWriter, Limits
from aegis_fhe.service.container_format import FOOTER, PREAMBLE, RECORD, whole_digest
from aegis_fhe.service.container_tensors import decode_tensors

# Changes only together with VERSION, a CHANGELOG line, and a reader for the old version.
GOLDEN_SHA256 = "5a4f438990655b578b9dfb5a39cb73814b03378effed0478b04c9735aee664f7"
GOLDEN_BYTES = 916


def write(path: Path, kind: str = "ciphertexts") -> Path:
    with ContainerWriter(path, kind, {"fingerprint": "ab12", "scale": 2.0**40 + 0.5}) as writer:
        writer.add("x/0", {"parts": torch.arange(12).reshape(2, 2, 3) << 40}, {"level": 1})
        writer.add(
            "x/1",
            {
                "seed": torch.arange(5, dtype=torch.uint8),
                "b": torch.tensor([-1, 2**49]),
                "e": torch.empty(0, 4),
            },
        )
    return path


def read_all(path: Path, kind: str = "ciphertexts") -> list[object]:
    with ContainerReader(path, kind) as reader:
        return [
            reader.metadata,
            *(
                (name, {k: (v.dtype, v.tolist()) for k, v in tensors.items()}, m)
                for name, tensors, m in reader
            ),
        ]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("good") / "x.aegis")


def test_round_trip_in_order_and_by_name(good: Path) -> None:
    with ContainerReader(good, "ciphertexts") as reader:
        assert reader.metadata == {"fingerprint": "ab12", "scale": 2.0**40 + 0.5}
        assert reader.names == ("x/0", "x/1")
        assert len(reader) == 2
        second, first = reader.read("x/1"), reader.read("x/0")
        assert [chunk.name for chunk in reader] == ["x/0", "x/1"]
        assert reader.chunk_bytes("x/0") > 12 * 8
    assert torch.equal(first.tensors["parts"], torch.arange(12).reshape(2, 2, 3) << 40)
    assert first.metadata == {"level": 1}
    assert second.tensors["b"].tolist() == [-1, 2**49]
    assert second.tensors["seed"].dtype == torch.uint8
    assert second.tensors["e"].shape == (0, 4)


def test_large_and_strided_tensors_survive_the_hashing_thread(tmp_path: Path) -> None:
    big = torch.arange(3 << 20).reshape(3, -1)  # 24 MiB: several pieces
    with ContainerWriter(tmp_path / "x", "keys") as writer:
        writer.add("k", {"straight": big, "turned": big.T})
    with ContainerReader(tmp_path / "x", "keys") as reader:
        tensors = reader.read("k").tensors
        assert reader.digest == writer.digest
    assert torch.equal(tensors["straight"], big)
    assert torch.equal(tensors["turned"], big.T)


def test_payload_is_safetensors_for_the_library_too(good: Path) -> None:
    data = good.read_bytes()
    start = PREAMBLE.size + PREAMBLE.unpack_from(data)[2]
    _, header, payload = RECORD.unpack_from(data, start)
    begin = start + RECORD.size + header
    assert safetensors.torch.load(data[begin : begin + payload])["parts"].shape == (2, 2, 3)


def test_format_is_the_announced_one(good: Path) -> None:
    """Golden: fails when the bytes of the format change without a new version."""
    data = good.read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (GOLDEN_BYTES, GOLDEN_SHA256)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_damage_is_refused(good: Path, data: st.DataObject) -> None:
    original = good.read_bytes()
    place = data.draw(st.integers(0, len(original) - 1), label="place")
    match data.draw(
        st.sampled_from(["flip", "insert", "delete", "truncate", "append", "swap"]), label="damage"
    ):
        case "flip":
            mask = data.draw(st.integers(1, 255))
            damaged = original[:place] + bytes([original[place] ^ mask]) + original[place + 1 :]
        case "insert":
            damaged = original[:place] + data.draw(st.binary(min_size=1, max_size=64)) + original[place:]
        case "delete":
            damaged = original[:place] + original[place + data.draw(st.integers(1, 64)) :]
        case "truncate":
            damaged = original[:place]
        case "append":
            damaged = original + data.draw(st.binary(min_size=1, max_size=64))
        case _:
            other = data.draw(st.integers(0, len(original) - 1))
            damaged = original[place:] + original[:place] if other % 2 else original[::-1]
    if damaged == original:
        return
    path = good.with_name("damaged")
    path.write_bytes(damaged)
    with pytest.raises(ContainerError) as caught:
        read_all(path)
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_forged_index_and_lengths_are_refused(good: Path, data: st.DataObject) -> None:
    """Damage made consistent with the whole checksum, as a hostile sender would, is refused or harmless."""
    original = good.read_bytes()
    offset, size, _, end = FOOTER.unpack(original[-FOOTER.size :])
    start = PREAMBLE.size + PREAMBLE.unpack_from(original)[2]
    body = bytearray(original[: offset + size])
    place = data.draw(st.integers(offset, offset + size - 1))
    body[place] = data.draw(st.sampled_from(b'0123456789abcdef"{}[],:-.\x00\xff'))
    index = bytes(body[offset:])
    forged = bytes(body) + FOOTER.pack(offset, size, whole_digest(bytes(body[:start]), index, offset), end)
    path = good.with_name("forged")
    path.write_bytes(forged)
    with contextlib.suppress(ContainerError):
        assert read_all(path) == read_all(good)


def test_huge_lengths_are_not_allocated(good: Path) -> None:
    data = bytearray(good.read_bytes())
    struct.pack_into("<I", data, 12, 2**32 - 1)
    (path := good.with_name("huge")).write_bytes(data)
    with pytest.raises(ContainerError, match="damaged header"):
        ContainerReader(path, "ciphertexts")


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("keys", lambda data: data, "is of kind 'ciphertexts'; give a file of kind 'keys'"),
        ("ciphertexts", lambda data: data[:8] + b"\x02" + data[9:], "format version 2.*update aegis-fhe"),
        ("ciphertexts", lambda data: b"PK\x03\x04" + data, "is not an AEGIS file"),
        ("ciphertexts", lambda data: b"", "is not an AEGIS file"),
        ("ciphertexts", lambda data: data[:-1], "truncated"),
        ("ciphertexts", lambda data: data[:40], "truncated"),
        ("ciphertexts", lambda data: data + b"!", "appended"),
    ],
)
def test_message_names_fault_and_cure(good: Path, kind: str, change: object, message: str) -> None:
    path = good.with_name("changed")
    path.write_bytes(change(good.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ContainerError, match=message):
        ContainerReader(path, kind)


def test_missing_file_and_missing_chunk(good: Path) -> None:
    with pytest.raises(ContainerError, match="No such file"):
        ContainerReader(good.with_name("absent"), "keys")
    with ContainerReader(good, "ciphertexts") as reader, pytest.raises(ContainerError, match="no chunk 'y'"):
        reader.read("y")


def test_reader_limits_hold(good: Path) -> None:
    narrow = Limits(chunk_bytes=64)
    with (
        ContainerReader(good, "ciphertexts", limits=narrow) as reader,
        pytest.raises(ContainerError, match="limits"),
    ):
        reader.read("x/0")
    for limits in (Limits(chunks=1), Limits(header_bytes=8), Limits(index_bytes=8)):
        with pytest.raises(ContainerError):
            ContainerReader(good, "ciphertexts", limits=limits)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"x": float("nan")}, "finite"),
        ({"x": 2**64}, "64 bits"),
        ({"x": {1: 2}}, "only strings"),
        ({"x": b"secret"}, "bytes"),
        ({"x": torch.ones(1)}, "Tensor"),
        ({"x": "a" * 2000}, "at most 1000"),
    ],
)
def test_metadata_that_json_would_change_is_refused(
    tmp_path: Path, metadata: dict[str, object], message: str
) -> None:
    with pytest.raises(ContainerError, match=message):
        ContainerWriter(tmp_path / "x", "keys", metadata, limits=Limits(header_bytes=1000))


def test_writer_refuses_what_the_reader_would(tmp_path: Path) -> None:
    with ContainerWriter(tmp_path / "x", "keys", limits=Limits(chunks=2, chunk_bytes=500)) as writer:
        writer.add("a", {"t": torch.ones(1)})
        for name, tensors, message in [
            ("a", {}, "already"),
            ("b\n", {}, "chunk name"),
            ("b", {"t": torch.ones(1, dtype=torch.complex64)}, "cannot be stored"),
            ("b", {"__metadata__": torch.ones(1)}, "cannot be stored"),
            ("b", {"t": torch.ones(1000)}, "at most 500 fit"),
        ]:
            with pytest.raises(ContainerError, match=message):
                writer.add(name, tensors)
        writer.add("b", {})
        with pytest.raises(ContainerError, match="at most 2 chunks"):
            writer.add("c", {})
    with ContainerReader(tmp_path / "x", "keys") as reader:  # the refused chunks left no trace
        assert [(name, list(tensors)) for name, tensors, _ in reader] == [("a", ["t"]), ("b", [])]


def test_interrupted_writer_leaves_what_was_there(tmp_path: Path) -> None:
    path = write(tmp_path / "x")
    before = path.read_bytes()

    def interrupted() -> None:
        with ContainerWriter(path, "keys") as writer:
            writer.add("a", {"t": torch.ones(1 << 20)})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]
    assert path.read_bytes() == before


def test_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: memoryview, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def filling() -> None:
        with ContainerWriter(tmp_path / "x", "keys") as writer:
            monkeypatch.setattr(container_writer.os, "pwrite", full)
            writer.add("a", {"t": torch.ones(10)})

    with pytest.raises(CapacityError, match="disk is full"):
        filling()
    assert list(tmp_path.iterdir()) == []


def test_file_size_limit_and_a_swallowed_error(tmp_path: Path) -> None:
    """A real refusal by the system (EFBIG); catching it does not make an incomplete file appear."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with (
            pytest.raises(ContainerError, match="could not be written"),
            ContainerWriter(tmp_path / "x", "keys") as writer,
            pytest.raises(CapacityError, match="disk is full"),
        ):
            writer.add("a", {"t": torch.ones(1 << 20)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_and_bad_folder_are_said_before_the_work(tmp_path: Path) -> None:
    with (
        pytest.raises(CapacityError, match="GiB free"),
        ContainerWriter(tmp_path / "x", "keys", expected_bytes=2**60),
    ):
        pass
    with (
        pytest.raises(ContainerError, match="cannot be written"),
        ContainerWriter(tmp_path / "no" / "x", "keys"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_hostile_tensor_header_never_reaches_outside_its_chunk(data: st.DataObject) -> None:
    """No checksum protects against a hostile sender: the payload's own rules must."""
    payload = bytearray(safetensors.torch.save({"a": torch.arange(6), "b": torch.ones(3, dtype=torch.uint8)}))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(payload) - 1))
        payload[place] = data.draw(st.sampled_from(b'0123456789"{}[],: ab\x00\xff'))
    buffer = torch.frombuffer(payload, dtype=torch.uint8)
    try:
        tensors = decode_tensors(buffer, Limits(), "test")
    except ContainerError:
        return
    assert sum(t.numel() * t.element_size() for t in tensors.values()) <= len(payload)
    for tensor in tensors.values():
        assert tensor.untyped_storage().data_ptr() == buffer.untyped_storage().data_ptr()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"a": ("I64", [2], (0, 16)), "b": ("I64", [2], (0, 16))}, "cannot lie at 0..16"),  # overlap
        ({"a": ("I64", [1], (0, 8)), "b": ("I64", [1], (16, 24))}, "cannot lie at 16..24"),  # gap
        ({"a": ("I64", [3], (0, 16))}, "24 bytes cannot lie"),
        ({"a": ("I64", [4], (0, 32))}, "ends after its chunk"),
        ({"a": ("I64", [2], (0, 16))}, "8 bytes belong to no tensor"),
        (
            {"a": ("U8", [4], (0, 4)), "b": ("F32", [5], (4, 24)), "c": ("U8", [0, 2**61, 2**61], (24, 24))},
            "impossible",
        ),
        ({"a": ("U8", [1], (0, 1)), "b": ("U8", [15], (1, 16)), "c": ("I64", [1], (15, 23))}, "cannot lie"),
        ({"a": ("U8", [1], (0, 1)), "b": ("I16", [1], (1, 3))}, "cannot lie at 1..3"),  # misaligned
        ({"a": ("F8", [24], (0, 24))}, "is 'F8'"),
        ({"a": ("U8", [1] * 9, (0, 1))}, "9 dimensions"),
        ({"a": ("U8", [-1, -24], (0, 24))}, "not readable"),
        ({"__metadata__": {"format": "pt"}}, "not readable"),
        ([], "not readable"),
    ],
)
def test_tensor_headers_that_lie_are_refused(header: object, message: str) -> None:
    if isinstance(header, dict):
        header = {
            name: dict(zip(("dtype", "shape", "data_offsets"), value, strict=True))
            if isinstance(value, tuple)
            else value
            for name, value in header.items()
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    payload = torch.frombuffer(bytearray(struct.pack("<Q", len(text)) + text + bytes(24)), dtype=torch.uint8)
    with pytest.raises(ContainerError, match=message):
        decode_tensors(payload, Limits(), "test")


def test_payload_shorter_than_its_header_is_refused() -> None:
    for data in (b"", b"\x01", struct.pack("<Q", 2**63)):
        with pytest.raises(ContainerError, match="longer than its chunk"):
            decode_tensors(torch.tensor(list(data), dtype=torch.uint8), Limits(), "test")


def test_data_are_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(
            container_writer.os, name, lambda *a, n=name, f=original: (calls.append(n), f(*a))
        )
    write(tmp_path / "x")
    assert calls == ["fsync", "replace", "fsync"]


def test_a_file_of_the_moment_is_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_writer.os, "fsync", lambda *a: pytest.fail("synced"))
    with ContainerWriter(tmp_path / "x", "keys", durable=False) as writer:
        writer.add("a", {"t": torch.ones(10)})
    with ContainerReader(tmp_path / "x", "keys") as reader:
        assert reader.names == ("a",)


def test_chunks_lie_in_the_order_of_their_places_whenever_they_are_written(tmp_path: Path) -> None:
    chunks = {f"c{number}": {"t": torch.arange(number << 10)} for number in range(1, 6)}
    with ContainerWriter(tmp_path / "in-order", "keys") as writer:
        for name, tensors in chunks.items():
            writer.add(name, tensors, {"of": name})
    with ContainerWriter(tmp_path / "late", "keys") as other:
        for write_chunk in reversed([other.place(name, t, {"of": name}) for name, t in chunks.items()]):
            write_chunk()
    assert other.digest == writer.digest
    assert (tmp_path / "late").read_bytes() == (tmp_path / "in-order").read_bytes()


def test_a_place_that_nobody_writes_makes_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(ContainerError, match="could not be written"),
        ContainerWriter(tmp_path / "x", "keys") as writer,
    ):
        writer.place("a", {"t": torch.ones(10)})
    assert list(tmp_path.iterdir()) == []
