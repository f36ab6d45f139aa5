"""Compiled kernels on disk: what was made once is read again, until anything it depends on changes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_DIGEST = hashlib.sha256().digest_size


def folder() -> Path:
    """$AEGIS_CACHE_DIR, or aegis-fhe in the user's cache folder ($XDG_CACHE_HOME, ~/.cache)."""
    chosen = os.environ.get("AEGIS_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aegis-fhe"


def remembered(facts: dict[str, str], make: Callable[[], bytes]) -> bytes:
    """What `make` gives, from the file that an earlier call with equal facts wrote, or made now and written.

    A file holds the SHA-256 of what follows; one that is damaged is made anew. A folder that cannot be
    written costs the time of making, no more.
    """
    key = hashlib.sha256(repr(sorted(facts.items())).encode()).hexdigest()
    path = folder() / f"{key}.bin"
    found = _read(path)
    if found is not None:
        return found
    made = make()
    with suppress(OSError):
        _write(path, made)
    return made


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, body = content[:_DIGEST], content[_DIGEST:]
    return body if hashlib.sha256(body).digest() == digest else None


def _write(path: Path, body: bytes) -> None:
    """In one step: another process sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(body).digest() + body)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
