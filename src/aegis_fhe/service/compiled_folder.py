"""A compiled model as a folder: the program, and where the client finds tokenizer and embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from aegis_fhe.errors import AegisError, ContainerError
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.service.decoder_file import save_decoder
from aegis_fhe.service.program_file import load_program, save_program


class ModelSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The checkpoint that a program was compiled from; no path for the packaged one. kind: of the model."""

    path: str | None
    fingerprint: str
    kind: str = "bert"

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
        self._make()
        save_program(program, self.program)
        self._describe(ModelSource(_resolved(model), fingerprint))

    def write_decoder(
        self, program: DecoderProgram, model: Path | None, fingerprint: str, *, kind: str
    ) -> None:
        """As `write`."""
        self._make()
        save_decoder(program, self.program)
        self._describe(ModelSource(_resolved(model), fingerprint, kind))

    def source(self) -> ModelSource:
        """Raises ContainerError for a missing or damaged file."""
        facts = self.path / "model.json"
        try:
            return msgspec.json.decode(facts.read_bytes(), type=ModelSource)
        except (OSError, msgspec.MsgspecError) as error:
            raise ContainerError(f"{facts} cannot be read ({error}): compile the model again") from error

    def load(self) -> tuple[CompiledProgram, ModelSource]:
        """Raises ContainerError for a missing or damaged file."""
        source = self.source()
        return load_program(self.program), source

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AegisError(f"{self.path} cannot be a folder ({error.strerror}): choose another") from error

    def _describe(self, source: ModelSource) -> None:
        (self.path / "model.json").write_bytes(msgspec.json.encode(source))


def _resolved(model: Path | None) -> str | None:
    """A hub's name stays as it is."""
    return None if model is None else str(model.resolve() if model.exists() else model)
