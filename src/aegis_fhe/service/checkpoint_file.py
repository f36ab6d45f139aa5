"""A device's state at a cut as a file: each memory behind its values once, and which value is where in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import CompatibilityError, ContainerError
from aegis_fhe.placement.moves import Form
from aegis_fhe.ring.arena import Arena
from aegis_fhe.runtime.mesh import DeviceState, Measured, MeshProgram
from aegis_fhe.service.container import ContainerReader, ContainerWriter
from aegis_fhe.service.residues import check_residues

KIND = "checkpoint"
WORD_BYTES = 8
NO_MEMORY = -1  # of a value of which the device has no limb


class CheckpointMark(msgspec.Struct, frozen=True, kw_only=True):
    """Whose state it is: of which job (a digest), which of how many ranks."""

    job: str
    rank: int
    world_size: int


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Of a value: in which memory, from which word on."""

    form: Form
    name: str
    memory: int
    offset: int
    shape: tuple[int, int, int]
    strides: tuple[int, int, int]


class _Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    mark: CheckpointMark
    position: int
    values: list[_Place]
    measured: Measured


def save_state(mark: CheckpointMark, state: DeviceState, path: Path) -> None:
    """Complete and on the disk, or not there. Raises CapacityError for a full disk, ContainerError."""
    memories: dict[int, int] = {}
    words, places = list[Tensor](), list[_Place]()
    for form, own in state.values.items():
        for name, parts in own.items():
            storage, number = parts.untyped_storage(), NO_MEMORY
            if parts.numel():
                number = memories.setdefault(storage.data_ptr(), len(words))
                if number == len(words):
                    whole = (storage.nbytes() // WORD_BYTES,)
                    words.append(parts.as_strided(whole, (1,), 0))
            shape, strides = _three(parts.shape), _three(parts.stride())
            places.append(_Place(form, name, number, int(parts.storage_offset()), shape, strides))
    facts = _Facts(mark=mark, position=state.position, values=places, measured=state.measured)
    expected = sum(one.nbytes for one in words)
    with ContainerWriter(path, KIND, msgspec.to_builtins(facts), expected_bytes=expected) as writer:
        for number, one in enumerate(words):
            writer.add(_chunk(number), {"words": one.cpu()})


def check_state(mark: CheckpointMark, path: Path) -> int:
    """The position of an undamaged state of this rank of this job: all of it is read.

    Raises ContainerError, CompatibilityError.
    """
    with ContainerReader(path, KIND) as reader:
        facts = _facts(reader, mark)
        for name in reader.names:
            reader.read(name)
        return facts.position


def load_state(mark: CheckpointMark, program: MeshProgram, params: Parameters, path: Path) -> DeviceState:
    """Its values in the arena of `params`, shared as they were. Raises ContainerError, CompatibilityError."""
    with ContainerReader(path, KIND) as reader:
        facts = _facts(reader, mark)
        memories = [params.ring.arena.copy(_words(reader, name)) for name in reader.names]
    values: dict[Form, dict[str, Tensor]] = {"whole": {}, "shared": {}}
    for place in facts.values:
        what = f"{path}: {place.name}"
        symbol = program.symbols.get(place.name)
        if symbol is None:
            raise CompatibilityError(f"{what} is no value of the program")
        limbs = program.layout.held(place.form, symbol.level, mark.rank)
        parts = _view(place, memories, params.ring.arena, what)
        check_residues(parts, params, limbs, (symbol.components,), what)
        values[place.form][place.name] = parts
    return DeviceState(position=facts.position, values=values, measured=facts.measured)


def _facts(reader: ContainerReader, mark: CheckpointMark) -> _Facts:
    try:
        facts = msgspec.convert(reader.metadata, _Facts)
    except msgspec.ValidationError as error:
        raise ContainerError(f"{reader.path} is not described as a checkpoint should be: {error}") from error
    if facts.mark != mark:
        raise CompatibilityError(
            f"{reader.path} is a checkpoint of another job or rank: give each job a folder of its own"
        )
    return facts


def _words(reader: ContainerReader, name: str) -> Tensor:
    tensors: Mapping[str, Any] = reader.read(name).tensors
    words = tensors.get("words")
    if not isinstance(words, Tensor) or words.dtype != torch.int64 or words.dim() != 1:
        raise ContainerError(f"{reader.path}: {name} holds no memory of a checkpoint")
    return words


def _view(place: _Place, memories: list[Tensor], arena: Arena, what: str) -> Tensor:
    """Raises ContainerError for one that is not inside its memory."""
    if place.memory == NO_MEMORY:
        if 0 not in place.shape or min(place.shape) < 0:
            raise ContainerError(f"{what} lies nowhere")
        return arena.empty(place.shape)
    last = place.offset + sum((n - 1) * step for n, step in zip(place.shape, place.strides, strict=True))
    inside = min(place.shape) > 0 <= min((place.offset, *place.strides)) and place.memory >= 0
    if not inside or place.memory >= len(memories) or last >= memories[place.memory].numel():
        raise ContainerError(f"{what} lies outside the memory that it is said to be in")
    return memories[place.memory].as_strided(place.shape, place.strides, place.offset)


def _three(numbers: Any) -> tuple[int, int, int]:
    first, second, third = numbers
    return int(first), int(second), int(third)


def _chunk(number: int) -> str:
    return f"memory.{number}"
