"""`aegis params --search`: which bootstraps there are, and what each costs and gives."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import typer
from rich.console import Console

from aegis_fhe.circuits.bootstrap.search import Candidate, search
from aegis_fhe.observe.table import format_bytes, results_table

LOG_DEGREE = 16
COLUMNS = (
    "to coefficients",
    "to slots",
    "cosine",
    "arcsine",
    "message / q_0",
    "depth",
    "log2 QP",
    "digits",
    "NTTs",
    "worst, bits",
    "keys",
)


def show_search(levels: int, *, as_json: bool) -> None:
    """The plans that no other beats in time, precision and keys, the fastest first."""
    print("some hundred plans are made and predicted: up to a minute", file=sys.stderr, flush=True)
    found = search(LOG_DEGREE, levels)
    if as_json:
        typer.echo(json.dumps([describe(one) for one in found]))
        return
    rows = []
    for one in found:
        facts = describe(one)
        rows.append(
            (
                "+".join(map(str, facts["to_coefficients"])),
                "+".join(map(str, facts["to_slots"])),
                f"{facts['degree']}, {facts['doublings']}x",
                str(facts["arcsine_degree"]),
                f"2^{facts['log2_width']:.1f}",
                str(facts["depth"]),
                f"{facts['log2_qp']:.0f}",
                str(facts["digits"]),
                f"{facts['ntts']:.0f}",
                f"{facts['precision_bits_worst']:.1f}",
                format_bytes(facts["key_bytes"]),
            )
        )
    console = Console()
    console.print(
        results_table(f"Bootstraps, N = 2^{LOG_DEGREE}, {levels} levels left, 128 bits", COLUMNS, rows)
    )
    if not found:
        console.print("None: the modulus has no room. Ask for fewer levels.", markup=False)


def describe(one: Candidate) -> dict[str, Any]:
    """Facts and predictions of one plan; NTTs are single-limb ones, keys have both halves."""
    plan, params = one.plan, one.plan.params
    return {
        "to_coefficients": list(plan.to_coefficients),
        "to_slots": list(plan.to_slots),
        "degree": plan.sine.degree,
        "doublings": plan.sine.doublings,
        "arcsine_degree": plan.sine.arcsine_degree,
        "log2_width": math.log2(plan.sine.width),
        "depth": plan.depth,
        "levels_left": plan.levels_left,
        "log2_qp": params.log_qp,
        "security_bits": params.security_bits,
        "digits": len(params.digits(params.max_level)),
        "ntts": one.ntts,
        "precision_bits_worst": one.worst_bits,
        "key_bytes": one.key_bytes,
        "failure_log2": math.log2(plan.failure),
    }
