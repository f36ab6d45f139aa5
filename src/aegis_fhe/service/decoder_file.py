"""A decoder's program as a file: a chunk of constants for each layer, read when that layer runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import ContainerError
from aegis_fhe.program.long.decoder_metadata import program_from_metadata
from aegis_fhe.program.long.decoder_program import DecoderProgram, constants_digest
from aegis_fhe.service.container import ContainerReader, ContainerWriter

KIND = "decoder"

Array = NDArray[np.float64]


def save_decoder(program: DecoderProgram, path: Path) -> None:
    """The constants of one layer are in memory at a time; all else is metadata."""
    metadata = {"program": program.metadata(), "fingerprint": program.fingerprint}
    with ContainerWriter(path, KIND, metadata) as writer:
        for index in range(len(program.layers)):
            tensors = {
                name: torch.from_numpy(np.array(constant, dtype=np.float64, order="C"))
                for name, constant in program.constants(index).items()
            }
            writer.add(_chunk(index), tensors)


def holds_decoder(path: Path) -> bool:
    """Whether the file is an undamaged one of this kind."""
    try:
        with ContainerReader(path, KIND):
            return True
    except ContainerError:
        return False


@contextmanager
def open_decoder(path: Path) -> Iterator[DecoderProgram]:
    """The program, whose constants are read from the file layer by layer, within the with-block alone.

    They are views of the file's pages where the system can map them (`ContainerReader`), checked against the
    program's digests each time. Raises ContainerError for a damaged or foreign file, and what building
    the program raises.
    """
    with ContainerReader(path, KIND, mapped=True) as reader:
        facts = reader.metadata
        if not isinstance(facts.get("program"), dict):
            raise ContainerError(f"{path} holds no program description: compile it again")
        source = _StoredConstants(reader)
        program = program_from_metadata(facts["program"], source)
        if program.fingerprint != facts.get("fingerprint"):
            raise ContainerError(f"{path} was written by another version of the compiler: compile it again")
        if reader.names != tuple(_chunk(index) for index in range(len(program.layers))):
            raise ContainerError(f"{path} does not hold the constants of {len(program.layers)} layers")
        source.program = program
        yield program


class _StoredConstants:
    """Reads a layer's constants and checks that they are the program's."""

    def __init__(self, reader: ContainerReader) -> None:
        self.reader = reader
        self.program: DecoderProgram | None = None

    def __call__(self, index: int) -> Mapping[str, Array]:
        assert self.program is not None, "constants before their program"
        path, tensors = self.reader.path, self.reader.read(_chunk(index)).tensors
        constants = {name: tensor.numpy() for name, tensor in tensors.items()}
        if constants_digest(constants) != self.program.digests[index]:
            raise ContainerError(
                f"{path} holds other constants of layer {index} than it says: compile it again"
            )
        return constants


def _chunk(index: int) -> str:
    return f"layer.{index}"
