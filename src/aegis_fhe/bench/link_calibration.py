"""The link between two processes of this machine, measured: what a message costs, and a byte."""

from __future__ import annotations

from statistics import median

from aegis_fhe.placement.cost import Link
from aegis_fhe.runtime.launch import LaunchOptions, launch

SMALL, LARGE = 64, 8 << 20
ROUNDS = 20
WORKER_MODULE = "aegis_fhe.bench.link_worker"


def calibrate_link(*, rounds: int = ROUNDS) -> Link:
    """Alpha and beta from messages of 64 bytes and of 8 MiB, both ways at once: medians of the slower end.

    Raises WorkerError when a process is lost.
    """
    config = {"message_bytes": [SMALL, LARGE], "rounds": rounds}
    reports = launch(WORKER_MODULE, config, LaunchOptions(world_size=2, threads=1))
    small, large = (max(median(report.result[i]) for report in reports) for i in (0, 1))
    rate = (LARGE - SMALL) / max(large - small, 1e-9)
    return Link(
        name="processes of this machine",
        bytes_per_second=rate,
        latency_seconds=small,
        share=1.0,
        source=f"measured: {rounds} messages of {SMALL} bytes and of {LARGE >> 20} MiB, both ways at once",
    )
