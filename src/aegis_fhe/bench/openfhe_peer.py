"""OpenFHE as a peer, at the same degree, levels, digits and security."""

from __future__ import annotations

import json
import os
from pathlib import Path

from aegis_fhe.bench.process_peer import ProcessPeer
from aegis_fhe.ckks.parameters import Parameters

WORKER = Path(__file__).with_name("openfhe_worker.py")


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
