"""A compiled program as a file: what the model's owner gives to worker and client."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from aegis_fhe.errors import ContainerError
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.service.container import ContainerReader, ContainerWriter

KIND = "program"
_CONSTANTS = "constants"


def save_program(program: CompiledProgram, path: Path) -> None:
    """One chunk of float64 constants; parameters, layout, graph and ranges as metadata."""
    metadata = {"program": program.metadata(), "fingerprint": program.fingerprint}
    with ContainerWriter(path, KIND, metadata) as writer:
        tensors = {
            name: torch.from_numpy(np.array(constant, dtype=np.float64, order="C"))
            for name, constant in program.constants.items()
        }
        writer.add(_CONSTANTS, tensors)


def load_program(path: Path) -> CompiledProgram:
    """Raises ContainerError for a damaged or foreign file, and what building the program raises."""
    with ContainerReader(path, KIND) as reader:
        metadata = reader.metadata
        tensors = reader.read(_CONSTANTS).tensors
    if not isinstance(metadata, dict) or not isinstance(metadata.get("program"), dict):
        raise ContainerError(f"{path} holds no program description: compile it again")
    constants = {name: tensor.numpy().copy() for name, tensor in tensors.items()}
    program = CompiledProgram.from_metadata(metadata["program"], constants)
    if program.fingerprint != metadata.get("fingerprint"):
        raise ContainerError(f"{path} was written by another version of the compiler: compile it again")
    return program
