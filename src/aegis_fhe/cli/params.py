"""`aegis params`: what a parameter set costs and gives."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from aegis_fhe.ckks import presets
from aegis_fhe.ckks.dry_run import key_switch_workspace_bytes
from aegis_fhe.ckks.key_shape import half_bytes
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.security import max_log_qp
from aegis_fhe.cli.search import show_search
from aegis_fhe.errors import ParameterError
from aegis_fhe.observe.table import format_bytes, results_table
from aegis_fhe.runtime.memory_estimate import ciphertext_bytes

FAMILIES = {"n14": presets.n14, "n15": presets.n15, "n16": presets.n16}
LEVEL_COLUMNS = ("level", "2 parts", "3 parts", "fresh, stored", "key", "key, stored", "key switch")
MAX_LEVELS = 100  # far beyond 128 bits of security in any of them; finding primes takes its time


def params(
    preset: Annotated[
        str | None, typer.Argument(help="n14, n15 or n16; by default all, at full depth.")
    ] = None,
    levels: Annotated[int | None, typer.Option(min=1, max=MAX_LEVELS, help="Levels of 40 bits.")] = None,
    search: Annotated[
        bool, typer.Option(help="Bootstraps at N = 2^16 that leave --levels (14): time, precision, keys.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Show parameter sets: bits, security and key sizes."""
    if search:
        if preset not in (None, "n16"):
            raise ParameterError(f"bootstraps are searched at n16, not at {preset}")
        show_search(14 if levels is None else levels, as_json=as_json)
        return
    if preset is not None and preset not in FAMILIES:
        raise ParameterError(f"preset {preset!r} is unknown: choose {', '.join(FAMILIES)}")
    chosen = [FAMILIES[preset]] if preset is not None else list(FAMILIES.values())
    sets = [family() if levels is None else family(levels) for family in chosen]
    if as_json:
        typer.echo(json.dumps([describe(p) for p in sets]))
        return
    columns = ("fact", *(p.name for p in sets))
    facts = [describe(p) for p in sets]
    shown = [key for key in facts[0] if key not in ("name", "by level")]
    rows = [(key, *(_show(key, each[key]) for each in facts)) for key in shown]
    console = Console()
    console.print(results_table("Parameter sets", columns, rows))
    if preset is not None:
        console.print(_levels_table(sets[0]))


def describe(p: Parameters) -> dict[str, Any]:
    """Facts of one set; bytes of a key with both halves (in memory) and of the stored half."""
    top = p.max_level
    return {
        "name": p.name,
        "ring degree": p.degree,
        "slots": p.slots,
        "levels": top,
        "log2 Q": round(p.log_q(top), 1),
        "log2 QP": round(p.log_qp, 1),
        "log2 QP allowed at 128 bits": max_log_qp(p.log_degree),
        "security bits": p.security_bits,
        "digits": len(p.digits(top)),
        "ciphertext bytes": ciphertext_bytes(p, top),
        "key bytes": 2 * half_bytes(p, top),
        "stored key bytes": half_bytes(p, top),
        "by level": [describe_level(p, level) for level in range(top, -1, -1)],
    }


def describe_level(p: Parameters, level: int) -> dict[str, int]:
    """Bytes of what lives at one level.

    Ciphertexts of two components, of three (an unrelinearised product), and fresh as stored (one and a seed);
    a key with both halves and as stored (one and a seed, which takes 32 bytes more); the most that a rotation
    holds besides its key, its input and its result.
    """
    return {
        "level": level,
        "ciphertext bytes": ciphertext_bytes(p, level),
        "product bytes": ciphertext_bytes(p, level, 3),
        "stored ciphertext bytes": ciphertext_bytes(p, level, 1),
        "key bytes": 2 * half_bytes(p, level),
        "stored key bytes": half_bytes(p, level),
        "key switch workspace bytes": key_switch_workspace_bytes(p, level),
    }


def _levels_table(p: Parameters) -> Table:
    levels = describe(p)["by level"]
    rows = [[_show(key, value) for key, value in facts.items()] for facts in levels]
    return results_table(f"Memory by level: {p.name}", LEVEL_COLUMNS, rows)


def _show(key: str, value: Any) -> str:
    return format_bytes(value) if key.endswith("bytes") and "log2" not in key else str(value)
