"""Sample texts from a file, one per line."""

from __future__ import annotations

from pathlib import Path

from aegis_fhe.errors import AegisError


def sample_lines(path: Path | None) -> list[str]:
    """Lines that are not blank; none for no path. Raises AegisError for what is not a UTF-8 file."""
    if path is None:
        return []
    if not path.is_file():
        raise AegisError(f"{path} is not a file: give a text file with one sample text per line")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AegisError(f"{path} cannot be read as UTF-8 text ({error}): give one sample a line") from error
    return [line for line in text.splitlines() if line.strip()]
