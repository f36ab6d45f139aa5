"""An interpreter that can load OpenFHE: one that is there, or an environment of its own.

The wheels that OpenFHE publishes are built for one Python each, whatever their tags say; the one of
`REQUIREMENT` loads under CPython 3.10 only.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from aegis_fhe.errors import PeerError

REQUIREMENT = "openfhe==1.6.1.0.22.4"
PROBE_TIMEOUT_S = 120.0
IS_PYTHON_310 = "import sys; sys.exit(sys.version_info[:2] != (3, 10))"
LOADS_OPENFHE = "import openfhe"

# Where versions of Python are kept besides PATH: pyenv, uv, the system, Homebrew. Relative: below the home.
PLACES = (
    ".pyenv/versions/3.10*/bin",
    ".local/share/uv/python/cpython-3.10*/bin",
    "/usr/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
)


def environment_folder(home: Path) -> Path:
    """Where an environment with OpenFHE is kept between runs."""
    return home / ".cache" / "aegis-fhe" / "openfhe-3.10"


def find_openfhe(home: Path, *, install: bool, say: Callable[[str], None]) -> Path:
    """An interpreter that imports openfhe; with `install`, one is made from the package index if needed.

    `say` is told before something is downloaded. Raises PeerError with the reason and the cure.
    """
    own = environment_folder(home) / "bin" / "python"
    found = [python for python in interpreters(home) if runs(python, IS_PYTHON_310)]
    for python in (own, *found):
        if python.exists() and runs(python, LOADS_OPENFHE):
            return python
    if not found:
        raise PeerError("no python3.10 was found, and OpenFHE's wheel loads under no other: install it")
    if not install:
        raise PeerError(f"{found[0]} has no {REQUIREMENT}: leave out --no-install, or install it there")
    say(f"installing {REQUIREMENT} with {found[0]} into {own.parents[1]} (once)")
    make_environment(found[0], own.parents[1])
    if not runs(own, LOADS_OPENFHE):
        raise PeerError(f"openfhe was installed into {own.parents[1]} but cannot be imported there")
    return own


def interpreters(home: Path) -> Iterator[Path]:
    """Every python3.10 of PATH and of `PLACES`, each file once."""
    named = shutil.which("python3.10")
    folders = [folder for place in PLACES for folder in _folders(home, place)]
    seen: set[Path] = set()
    for python in [*([Path(named)] if named else []), *(folder / "python3.10" for folder in folders)]:
        if python.exists() and python.resolve() not in seen:
            seen.add(python.resolve())
            yield python


def runs(python: Path, program: str) -> bool:
    """Whether `python -c program` succeeds, without what PYTHONPATH of this process may add."""
    try:
        done = subprocess.run(
            [str(python), "-E", "-c", program], capture_output=True, check=False, timeout=PROBE_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def make_environment(python: Path, folder: Path) -> None:
    """A virtual environment with OpenFHE. Raises PeerError with what the failing step said last."""
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _step([str(python), "-m", "venv", "--clear", str(folder)])
    _step([*pip, "--only-binary", ":all:", REQUIREMENT])


def _step(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, check=False)
    except OSError as error:
        raise PeerError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise PeerError(f"`{' '.join(command)}` failed: {' '.join(last)}")


def _folders(home: Path, place: str) -> list[Path]:
    if place.startswith("/"):
        return [Path(place)]
    return sorted(home.glob(place), reverse=True)
