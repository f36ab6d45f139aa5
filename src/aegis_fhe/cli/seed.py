"""`--seed`: keys, ciphertexts and noise that a second run repeats."""

from __future__ import annotations

import hashlib

import typer


def seed_key(seed: str | None) -> bytes | None:
    """What keys and ciphertexts are drawn from, where that is to be repeated."""
    return None if seed is None else hashlib.sha256(seed.encode()).digest()


def seed_number(seed: str | None) -> int:
    """What simulated noise is drawn from; 0 without a seed."""
    key = seed_key(seed)
    return 0 if key is None else int.from_bytes(key[:4], "little")


def warn_of_seed(seed: str | None) -> None:
    """Says that keys from a seed are no secrets."""
    if seed is not None:
        typer.echo(
            "keys were derived from --seed: reproducible, and therefore worthless as secrets", err=True
        )
