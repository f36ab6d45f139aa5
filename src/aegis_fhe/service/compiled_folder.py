"""A compiled model as a folder: the program, and where the client finds tokenizer and embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from aegis_fhe.errors import AegisError, ContainerError
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.service.program_file import load_program, save_program


class ModelSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The checkpoint that a program was compiled from; no path for the packaged one."""

    path: str | None
    fingerprint: str

    @property
    def folder(self) -> Path | None:
        """Where it lies."""
        return None if self.path is None else Path(self.path)


@dataclass(frozen=True)
class CompiledFolder:
    """program.aegis and model.json in one folder."""

    path: Path

    @property
    def program(self) -> Path:
        """The compiled program."""
        return self.path / "program.aegis"

    def write(self, program: CompiledProgram, model: Path | None, fingerprint: str) -> None:
        """Both files; the folder is made where there is none. Raises AegisError when it cannot be."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AegisError(f"{self.path} cannot be a folder ({error.strerror}): choose another") from error
        source = ModelSource(None if model is None else str(model.resolve()), fingerprint)
        save_program(program, self.program)
        (self.path / "model.json").write_bytes(msgspec.json.encode(source))

    def load(self) -> tuple[CompiledProgram, ModelSource]:
        """Raises ContainerError for a missing or damaged file."""
        facts = self.path / "model.json"
        try:
            source = msgspec.json.decode(facts.read_bytes(), type=ModelSource)
        except (OSError, msgspec.MsgspecError) as error:
            raise ContainerError(f"{facts} cannot be read ({error}): compile the model again") from error
        return load_program(self.program), source
