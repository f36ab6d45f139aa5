"""OpenFHE as a peer, at the same degree, levels, digits and security."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from aegis_fhe.bench.process_peer import ProcessPeer
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import PeerError

WORKER = Path(__file__).with_name("openfhe_worker.py")
BOOTSTRAP = Path(__file__).with_name("openfhe_bootstrap.py")


def start_openfhe(python: Path, params: Parameters, threads: int) -> ProcessPeer:
    """OpenFHE in a process of the given interpreter, with `threads` OpenMP threads.

    Its primes differ: a base prime and special primes of 60 bits, so it has fewer special limbs than we.
    Raises PeerError when it cannot start, for parameters below 128 bits among others.
    """
    settings = {
        "log_n": params.log_degree,
        "levels": params.max_level,
        "digits": len(params.digits(params.max_level)),
    }
    command = [str(python), "-E", str(WORKER), json.dumps(settings)]
    return ProcessPeer(command, environment={**os.environ, "OMP_NUM_THREADS": str(threads)})


def openfhe_bootstrap(python: Path, log_n: int, threads: int, runs: int) -> dict[str, Any]:
    """What `openfhe_bootstrap.py` measures, see there. Raises PeerError when it fails."""
    command = [str(python), "-E", str(BOOTSTRAP), json.dumps({"log_n": log_n, "runs": runs})]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    try:
        done = subprocess.run(command, capture_output=True, env=environment, check=False, text=True)
        facts = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError) as error:
        raise PeerError(f"OpenFHE's bootstrap cannot be run with {python}: {error}") from error
    if not isinstance(facts, dict):
        last = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise PeerError(f"OpenFHE's bootstrap failed: {last}")
    return facts
