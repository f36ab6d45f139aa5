"""A keys file holds exactly the keys asked for, and only well-formed keys of the same parameters load."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from aegis_fhe.ckks import KeyRequest, KeySwitchKey, Parameters, presets
from aegis_fhe.ckks.key_shape import half_bytes
from aegis_fhe.ckks.secret import SecretKey, evaluation_keys
from aegis_fhe.errors import CapacityError, CompatibilityError, ContainerError, MissingKeyError
from aegis_fhe.ring import native
from aegis_fhe.service import container_writer
from aegis_fhe.service.client import Client
from aegis_fhe.service.container import ContainerReader, ContainerWriter
from aegis_fhe.service.keys_file import KIND, load_keys, save_keys

from .conftest import SEED, Job

REQUESTS = [KeyRequest("relin", 2), KeyRequest("conj", 0), KeyRequest(3, 1)]


@pytest.fixture(scope="module")
def keys(small: Parameters) -> list[KeySwitchKey]:
    return list(evaluation_keys(SecretKey.generate(small, seed=SEED), REQUESTS, seed=SEED))


def test_the_file_holds_the_keys_that_the_program_uses_and_no_others(job: Job) -> None:
    requests = job.program.key_requests()
    with ContainerReader(job.files.keys, KIND) as reader:
        assert reader.metadata == {"parameters": job.program.params.fingerprint()}
        found = [(chunk.metadata["step"], chunk.metadata["level"]) for chunk in reader]
    assert found == [(request.step, request.level) for request in requests]
    stored = sum(half_bytes(job.program.params, request.level) for request in requests)
    assert stored < job.files.keys.stat().st_size < stored + 2048 * (len(requests) + 1)


def test_round_trip(small: Parameters, keys: list[KeySwitchKey], tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    save_keys(small, REQUESTS, keys, tmp_path / "k", advance=lambda *event: told.append(event))
    loaded = load_keys(small, REQUESTS, tmp_path / "k")
    for key in keys:
        back = loaded.find(key.request, small.degree)
        assert (back.request, back.seed) == (key.request, key.seed)
        assert torch.equal(back.b, key.b)
        assert torch.equal(back.a, key.a)
    assert told == [("keys", float(half_bytes(small, key.level))) for key in keys]


def test_keys_of_other_parameters_are_refused(
    small: Parameters, keys: list[KeySwitchKey], tmp_path: Path
) -> None:
    save_keys(small, REQUESTS, keys, tmp_path / "k")
    other = presets.insecure(log_degree=5, levels=3, digit_size=2)
    with pytest.raises(CompatibilityError, match="other parameters"):
        load_keys(other, REQUESTS, tmp_path / "k")


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.describe())
def test_a_missing_key_is_named(
    request_: KeyRequest, small: Parameters, keys: list[KeySwitchKey], tmp_path: Path
) -> None:
    save_keys(small, REQUESTS, (key for key in keys if key.request != request_), tmp_path / "k")
    with pytest.raises(MissingKeyError, match=f"{request_.describe()} at level {request_.level}"):
        load_keys(small, REQUESTS, tmp_path / "k")


def test_a_key_of_too_low_a_level_is_refused(
    small: Parameters, keys: list[KeySwitchKey], tmp_path: Path
) -> None:
    save_keys(small, REQUESTS, keys, tmp_path / "k")
    with pytest.raises(MissingKeyError, match="levels up to 1"):
        load_keys(small, [KeyRequest(3, 2)], tmp_path / "k")


@pytest.mark.parametrize("row", [0, 1, -1])
@pytest.mark.parametrize("excess", [-1, 0, 2**50])
def test_residues_outside_their_modulus_are_refused(
    row: int, excess: int, small: Parameters, keys: list[KeySwitchKey], tmp_path: Path
) -> None:
    """One residue: -1, exactly q, or far above; in a ciphertext limb or in a special one."""
    modulus = {0: small.q[0], 1: small.q[1], -1: small.p[-1]}[row]
    b = keys[0].b.clone()
    b[1, row, 17] = -1 if excess < 0 else modulus + excess
    save_keys(small, REQUESTS, [replace(keys[0], b=b), *keys[1:]], tmp_path / "k")
    with pytest.raises(CompatibilityError, match=r"key relin holds residues outside \[0, q\)"):
        load_keys(small, REQUESTS, tmp_path / "k")


def test_the_largest_residues_are_accepted(
    small: Parameters, keys: list[KeySwitchKey], tmp_path: Path
) -> None:
    b = keys[0].b.clone()
    b[0, :, 0] = torch.tensor([*small.q, *small.p]) - 1
    save_keys(small, REQUESTS, [replace(keys[0], b=b), *keys[1:]], tmp_path / "k")
    assert load_keys(small, REQUESTS, tmp_path / "k").relin is not None


def write_one(
    path: Path,
    params: Parameters,
    key: KeySwitchKey,
    changes: dict[str, Any],
    tensors: dict[str, torch.Tensor],
) -> Path:
    facts = {"step": key.request.step, "level": key.level, "seed": key.seed.hex(), **changes}
    with ContainerWriter(path, KIND, {"parameters": params.fingerprint()}) as writer:
        writer.add(
            "key", tensors, metadata={name: value for name, value in facts.items() if value is not None}
        )
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"step": "unknown"},
        {"step": 1.5},
        {"step": None},
        {"level": 3},
        {"level": -1},
        {"level": "2"},
        {"seed": "00" * 31},
        {"seed": "zz" * 32},
        {"seed": None},
        {"more": 1},
    ],
    ids=str,
)
def test_keys_described_wrongly_are_refused(
    changes: dict[str, Any], small: Parameters, keys: list[KeySwitchKey], tmp_path: Path
) -> None:
    path = write_one(tmp_path / "k", small, keys[0], changes, {"b": keys[0].b})
    with pytest.raises(ContainerError, match="key"):
        load_keys(small, REQUESTS[:1], path)


def test_keys_of_another_shape_or_content_are_refused(
    small: Parameters, keys: list[KeySwitchKey], tmp_path: Path
) -> None:
    b = keys[0].b
    for number, wrong in enumerate([b[:1], b[:, :-1], b[:, :, :-1], b[0], b.to(torch.int32), b.double()]):
        path = write_one(tmp_path / f"k{number}", small, keys[0], {}, {"b": wrong})
        with pytest.raises(CompatibilityError, match="expected"):
            load_keys(small, REQUESTS[:1], path)
    for number, tensors in enumerate([{}, {"a": b}, {"b": b, "c": b}]):
        path = write_one(tmp_path / f"t{number}", small, keys[0], {}, tensors)
        with pytest.raises(ContainerError, match="content"):
            load_keys(small, REQUESTS[:1], path)
    assert load_keys(small, REQUESTS[:1], write_one(tmp_path / "k", small, keys[0], {}, {"b": b})).relin


def test_a_file_of_another_kind_is_refused(job: Job) -> None:
    with pytest.raises(ContainerError, match="kind 'program'"):
        load_keys(job.program.params, job.program.key_requests(), job.files.program)


def test_no_file_is_left_when_generation_fails(
    small: Parameters, keys: list[KeySwitchKey], tmp_path: Path
) -> None:
    def failing():
        yield keys[0]
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        save_keys(small, REQUESTS, failing(), tmp_path / "k")
    assert list(tmp_path.iterdir()) == []


def test_equal_seeds_give_equal_files_on_any_number_of_threads(job: Job, tmp_path: Path) -> None:
    """Keys are written by several threads while others are generated: the bytes must not tell."""
    before, digests = native.get_threads(), set()
    try:
        for threads in (1, 2, 3):
            native.set_threads(threads)
            Client(job.program, seed=SEED).write_keys(tmp_path / "k", durable=False)
            digests.add(hashlib.sha256((tmp_path / "k").read_bytes()).hexdigest())
    finally:
        native.set_threads(before)
    assert len(digests) == 1


def test_a_full_disk_while_keys_are_written_is_said_and_leaves_nothing(
    small: Parameters, keys: list[KeySwitchKey], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal comes to a writer's thread, late: here with the last chunk."""
    write, last = os.pwrite, 2 * half_bytes(small, 2)

    def filling(descriptor: int, data: memoryview, offset: int) -> int:
        if offset > last:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data, offset)

    monkeypatch.setattr(container_writer.os, "pwrite", filling)
    with pytest.raises(CapacityError, match="disk is full"):
        save_keys(small, REQUESTS[:1] * 8, (rename(keys[0], step) for step in range(8)), tmp_path / "k")
    assert list(tmp_path.iterdir()) == []


def rename(key: KeySwitchKey, step: int) -> KeySwitchKey:
    return replace(key, request=KeyRequest(step, key.level))
