"""Under which circumstances rows were measured: date, commit, versions."""

from __future__ import annotations

import platform
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import aegis_fhe
from aegis_fhe.bench.peer import Peer
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ring.native import on_gpu
from aegis_fhe.runtime.gpus import gpu_facts

RESULTS = "benchmarks/results"


def checkout() -> Path | None:
    """The repository that this package runs from, or None for an installed copy."""
    root = Path(aegis_fhe.__file__).resolve().parents[2]
    return root if (root / ".git").exists() and (root / "pyproject.toml").is_file() else None


def default_results(benchmark: str) -> Path | None:
    """Where rows of a benchmark are kept in a checkout; None for an installed copy."""
    root = checkout()
    return root / RESULTS / f"{benchmark}.jsonl" if root else None


def circumstances(
    benchmark: str, params: Parameters | None, peer: Peer | None, *, cpu: str, cores: int
) -> dict[str, Any]:
    """Everything but the row itself that a recorded row carries; params: None where no ring is involved."""
    path = params.ring.path if params is not None else None
    hardware: dict[str, Any] = {"cpu": cpu, "cores": cores, "kernels": path}
    if params is not None and on_gpu(params.ring.path):
        hardware["gpu"] = gpu_facts(params.ring.device)
    return {
        "benchmark": benchmark,
        "parameters": params.name if params is not None else None,
        "security_bits": params.security_bits if params is not None else None,
        "peer_parameters": peer.facts.description if peer is not None else None,
        "hardware": hardware,
        "versions": versions() | ({"peer": peer.facts.name} if peer is not None else {}),
        "commit": commit(checkout()),
        "date": now(),
    }


def commit(root: Path | None) -> str | None:
    """The commit of a checkout, with "-dirty" when tracked files differ from it; None when git cannot say.

    Recorded rows do not count: the first run of a day would make all later ones look changed.
    """
    if root is None:
        return None
    try:
        head = _git(root, "rev-parse", "--verify", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", f":!{RESULTS}")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}-dirty" if changed else head


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the times depend on."""
    found = {"python": platform.python_version()}
    for name in ("aegis-fhe", "torch", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from sources that are not installed
            continue
    return found


def now() -> str:
    """Date and time in UTC, to the second: 2026-01-31T12:00:00+00:00."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
