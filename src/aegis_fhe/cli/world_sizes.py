"""Numbers of devices to compare, out of one option."""

from __future__ import annotations

from aegis_fhe.errors import ParameterError


def world_sizes(text: str) -> list[int]:
    """Rising from 1, on which the others are measured: "1,2,4". Raises ParameterError for anything else."""
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or sizes[0] != 1 or sizes != sorted(set(sizes)):
        raise ParameterError(f"--worlds {text}: expected numbers of devices, rising from 1, as 1,2")
    return sizes
