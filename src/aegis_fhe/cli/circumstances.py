"""What a recorded row says of the run besides its own figures, this machine's part included."""

from __future__ import annotations

from typing import Any

from aegis_fhe.bench import provenance
from aegis_fhe.bench.peer import Peer
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.cli import machine


def circumstances(benchmark: str, params: Parameters | None, peer: Peer | None = None) -> dict[str, Any]:
    """As `provenance.circumstances`, on this processor with the cores that this process may use."""
    cpu, cores = machine.cpu_model(machine.cpu_fields()), machine.usable_cores()
    return provenance.circumstances(benchmark, params, peer, cpu=cpu, cores=cores)
