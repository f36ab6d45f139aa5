"""`aegis calibrate --link`: what a message between two processes of this machine costs, as a file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from aegis_fhe.bench.link_calibration import calibrate_link
from aegis_fhe.placement.cost import Network, write_network


def calibrate_processes(output: Path, *, as_json: bool) -> None:
    """Measures, writes what `aegis plan --link` takes, and says it. Raises WorkerError, ContainerError."""
    network = Network(link=calibrate_link())
    write_network(output, network)
    if as_json:
        typer.echo(msgspec.json.encode(network).decode())
        return
    link = network.link
    typer.echo(
        f"{link.name}: {link.bytes_per_second / 1e9:.2f} GB/s each way, "
        f"{link.latency_seconds * 1e6:.0f} us a message; {link.source}"
    )
