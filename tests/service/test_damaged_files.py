"""Programs, inputs, keys and results with corrupted bytes are refused in one line, never misread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_fhe.ckks import Ciphertext, KeyRequest, Parameters
from aegis_fhe.ckks.secret import SecretKey, evaluation_keys
from aegis_fhe.errors import AegisError
from aegis_fhe.service.ciphertexts_file import JobFacts, load_input, load_results, save_results
from aegis_fhe.service.keys_file import load_keys, save_keys
from aegis_fhe.service.program_file import load_program

from .conftest import SEED, Job

REQUESTS = [KeyRequest("relin", 2), KeyRequest(1, 1)]


@dataclass(frozen=True)
class Kind:
    """The bytes of a good file, how it is read, and what that gives."""

    original: bytes
    read: Callable[[Path], Any]
    scratch: Path


@pytest.fixture(scope="module")
def kinds(
    job: Job, results: dict[str, Ciphertext], small: Parameters, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Kind]:
    program, folder = job.program, tmp_path_factory.mktemp("damage")
    save_keys(small, REQUESTS, evaluation_keys(SecretKey.generate(small, seed=SEED), REQUESTS), folder / "k")
    facts = JobFacts(program=program.fingerprint, parameters=program.params.fingerprint(), tokens=9)
    save_results(facts, results, folder / "r")

    def read_input(path: Path) -> Any:
        given = load_input(program, path)
        return given.facts, {name: (b.body.tolist(), b.seed, b.scale) for name, b in given.blocks.items()}

    def read_keys(path: Path) -> Any:
        keys = [load_keys(small, REQUESTS, path).find(request, small.degree) for request in REQUESTS]
        return [(key.request, key.seed, key.b.tolist()) for key in keys]

    def read_results(path: Path) -> Any:
        return {name: (r.parts.tolist(), r.scale) for name, r in load_results(program, [path]).items()}

    readers: dict[str, tuple[Path, Callable[[Path], Any]]] = {
        "program": (job.files.program, lambda path: load_program(path).fingerprint),
        "input": (job.files.inputs[0], read_input),
        "keys": (folder / "k", read_keys),
        "results": (folder / "r", read_results),
    }
    return {name: Kind(path.read_bytes(), read, folder / "damaged") for name, (path, read) in readers.items()}


@st.composite
def damaged(draw: st.DrawFn, original: bytes) -> bytes:
    """The bytes after one accident; headers, index and footer are as likely a place as the bulk."""
    size = len(original)
    place = draw(
        st.one_of(
            st.integers(0, size - 1), st.integers(0, min(999, size - 1)), st.integers(size - 999, size - 1)
        )
    )
    match draw(st.sampled_from(["flip", "insert", "delete", "truncate", "append", "swap", "zero"])):
        case "flip":
            return (
                original[:place]
                + bytes([original[place] ^ draw(st.integers(1, 255))])
                + original[place + 1 :]
            )
        case "insert":
            return original[:place] + draw(st.binary(min_size=1, max_size=64)) + original[place:]
        case "delete":
            return original[:place] + original[place + draw(st.integers(1, 64)) :]
        case "truncate":
            return original[:place]
        case "append":
            return original + draw(st.binary(min_size=1, max_size=64))
        case "zero":
            return original[:place] + bytes(len(original[place : place + 32])) + original[place + 32 :]
        case _:
            other = draw(st.integers(0, size - 1))
            data = bytearray(original)
            data[place], data[other] = data[other], data[place]
            return bytes(data)


@pytest.mark.parametrize("name", ["program", "input", "keys", "results"])
def test_the_undamaged_file_is_read(name: str, kinds: dict[str, Kind]) -> None:
    kind = kinds[name]
    kind.scratch.write_bytes(kind.original)
    assert kind.read(kind.scratch)


@pytest.mark.parametrize("name", ["program", "input", "keys", "results"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_damage_is_refused(name: str, data: st.DataObject, kinds: dict[str, Kind]) -> None:
    kind = kinds[name]
    broken = data.draw(damaged(kind.original))
    if broken == kind.original:
        return  # equal bytes swapped, zeros zeroed
    kind.scratch.write_bytes(broken)
    with pytest.raises(AegisError) as caught:
        kind.read(kind.scratch)
    assert "\n" not in str(caught.value)
    assert str(kind.scratch) in str(caught.value)
