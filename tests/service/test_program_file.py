"""A program file gives back the program that was written, and no other."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_fhe.errors import AegisError, ContainerError, SecurityError
from aegis_fhe.service.container import ContainerReader, ContainerWriter
from aegis_fhe.service.program_file import KIND, load_program

from .conftest import Job


def parts_of(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    with ContainerReader(path, KIND) as reader:
        return reader.metadata, reader.read("constants").tensors


def write(path: Path, metadata: dict[str, Any], constants: dict[str, torch.Tensor]) -> Path:
    """A file that no checksum objects to."""
    with ContainerWriter(path, KIND, metadata) as writer:
        writer.add("constants", constants)
    return path


def test_round_trip(job: Job) -> None:
    loaded = load_program(job.files.program)
    assert loaded.fingerprint == job.program.fingerprint
    assert loaded.params == job.program.params
    assert loaded.symbols() == job.program.symbols()
    assert loaded.key_requests() == job.program.key_requests()
    np.testing.assert_array_equal(
        loaded.run_clear(job.hidden[:11]).hidden, job.program.run_clear(job.hidden[:11]).hidden
    )


def test_the_file_holds_no_float_but_weights(job: Job) -> None:
    _, constants = parts_of(job.files.program)
    assert set(constants) == set(job.program.constants)
    for name, tensor in constants.items():
        assert torch.equal(tensor, torch.from_numpy(np.array(job.program.constants[name], dtype=np.float64)))


def test_changed_weights_are_refused_though_the_checksum_is_right(job: Job, tmp_path: Path) -> None:
    metadata, constants = parts_of(job.files.program)
    name = max(constants, key=lambda key: constants[key].numel())
    changed = constants[name].clone()
    changed.view(-1)[0] += 2.0**-40
    path = write(tmp_path / "p", metadata, {**constants, name: changed})
    with pytest.raises(ContainerError, match="compile it again"):
        load_program(path)


def test_weights_of_another_type_are_refused(job: Job, tmp_path: Path) -> None:
    metadata, constants = parts_of(job.files.program)
    path = write(tmp_path / "p", metadata, {name: tensor.float() for name, tensor in constants.items()})
    with pytest.raises(ContainerError, match="compile it again"):
        load_program(path)


def test_missing_weights_are_named(job: Job, tmp_path: Path) -> None:
    metadata, constants = parts_of(job.files.program)
    name = sorted(constants)[0]
    path = write(tmp_path / "p", metadata, {key: tensor for key, tensor in constants.items() if key != name})
    with pytest.raises(AegisError, match=name.replace("[", r"\[")):
        load_program(path)


def test_insecure_parameters_do_not_slip_in_through_a_file(job: Job, tmp_path: Path) -> None:
    metadata, constants = parts_of(job.files.program)
    metadata = copy.deepcopy(metadata)
    assert metadata["program"]["parameters"]["insecure"] is True
    metadata["program"]["parameters"]["insecure"] = False
    with pytest.raises(SecurityError, match="128"):
        load_program(write(tmp_path / "p", metadata, constants))


@pytest.mark.parametrize("metadata", [{}, {"program": 3}, {"program": {}, "fingerprint": "x"}])
def test_no_program_description(metadata: dict[str, Any], job: Job, tmp_path: Path) -> None:
    _, constants = parts_of(job.files.program)
    with pytest.raises(ContainerError):
        load_program(write(tmp_path / "p", metadata, constants))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything in nested JSON, containers included."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path] * bool(path) + [leaf for key, entry in entries for leaf in leaves(entry, (*path, key))]


OTHER_VALUES = st.sampled_from([None, True, False, -1, 0, 1, 7, 2**40, 1.5, -1e300, "", "x[0]", [], [0], {}])


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_description_with_one_other_value_is_refused(
    data: st.DataObject, job: Job, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a file that no checksum objects to; so whatever reads the description must have typed errors."""
    metadata, constants = parts_of(job.files.program)
    metadata = copy.deepcopy(metadata)
    every = leaves(metadata["program"])
    # Nodes are nine tenths of it: give the rest a fair chance.
    short = [leaf for leaf in every if leaf[0] != "nodes"]
    *way, last = data.draw(st.one_of(st.sampled_from(short), st.sampled_from(every)), label="where")
    place = metadata["program"]
    for key in way:
        place = place[key]
    value = data.draw(OTHER_VALUES.filter(lambda other: repr(other) != repr(place[last])), label="value")
    if place[last] == value:
        return  # 1.0 for 1, True for 1: the same to every reader
    place[last] = value
    path = write(tmp_path_factory.getbasetemp() / "other-program", metadata, constants)
    with pytest.raises(AegisError):
        load_program(path)
