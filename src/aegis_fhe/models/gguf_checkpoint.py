"""A checkpoint in GGUF, the format of llama.cpp: metadata and tensors, dequantised to float32."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import AegisError


@dataclass(frozen=True, eq=False)
class GgufCheckpoint:
    """Reads one file; tensors are dequantised one at a time, when they are asked for.

    Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
    """

    path: Path
    fields: dict[str, Any]
    tensors: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> GgufCheckpoint:
        """Opens a file. Raises AegisError when it is missing or damaged, or the package gguf is."""
        if importlib.util.find_spec("gguf") is None:
            raise AegisError("reading GGUF files needs the package gguf: pip install 'aegis-fhe[gguf]'")
        if not path.is_file():
            raise AegisError(f"{path} does not exist: expected a model file in GGUF format")
        from gguf import GGUFReader

        try:
            reader = GGUFReader(path)
        except Exception as error:  # the reader checks nothing: a damaged file shows as whatever fails first
            raise _damaged(path, error) from error
        return cls(path, dict(reader.fields), {tensor.name: tensor for tensor in reader.tensors})

    def metadata(self, key: str) -> Any:
        """The value of a key: number, text, or list. Raises AegisError when the file lacks it."""
        if key not in self.fields:
            raise AegisError(f"{self.path} lacks the metadata {key}: convert the model again with llama.cpp")
        try:
            return self.fields[key].contents()
        except Exception as error:
            raise _damaged(self.path, error) from error

    def tensor(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """A tensor in float32, rows first. Raises AegisError when it is missing or not of this shape."""
        from gguf.quants import dequantize

        if name not in self.tensors:
            raise AegisError(f"{self.path} lacks the tensor {name}: convert the model again with llama.cpp")
        found = self.tensors[name]
        try:
            values = dequantize(found.data, found.tensor_type)
        except Exception as error:
            raise _damaged(self.path, error) from error
        if values.shape != shape:
            raise AegisError(f"{self.path}: {name} has the shape {values.shape}, expected {shape}")
        return np.array(values, dtype=np.float32)


def _damaged(path: Path, error: Exception) -> AegisError:
    lines = str(error).splitlines() or [type(error).__name__]
    return AegisError(f"{path} is not a GGUF file, or is damaged: {lines[0]}; fetch or convert it again")
