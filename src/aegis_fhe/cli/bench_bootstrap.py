"""`aegis bench bootstrap`: ours, and OpenFHE's in the same run."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from aegis_fhe.bench.bootstrap_benchmark import measure_bootstrap
from aegis_fhe.bench.openfhe_peer import openfhe_bootstrap
from aegis_fhe.bench.openfhe_python import find_openfhe
from aegis_fhe.bench.result_rows import record_facts
from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.cli.circumstances import circumstances
from aegis_fhe.errors import ParameterError, PeerError
from aegis_fhe.observe.table import format_bytes, results_table
from aegis_fhe.ring import native

DEGREES = range(8, 17)
PEER_RUNS = 1  # one takes half a minute, and one more is not timed


def bench_bootstrap(
    *,
    n: int,
    threads: int,
    runs: int,
    peer: str,
    python: Path | None,
    install: bool,
    device: str | None,
    output: Path | None,
    record: bool,
    as_json: bool,
) -> None:
    """Measures the preset of degree 2^n, below 2^16 an insecure one, beside OpenFHE at the same degree.

    device: a kernel path. OpenFHE, which runs on the processor, is no peer of a GPU, real or emulated.
    """
    if device is not None and native.off_host(device):
        peer = "none"
    if n not in DEGREES:
        raise ParameterError(f"--n {n} is no bootstrap's degree: {DEGREES.start} to {DEGREES.stop - 1}")
    if peer not in ("auto", "openfhe", "none"):
        raise ParameterError(f"--peer {peer!r} has no bootstrap: choose auto, openfhe or none")
    found = presets.n16() if n == 16 else presets.insecure(n)
    plan = replace(found, params=replace(found.params, kernel_path=device))
    # The peer first: both at once would not fit into the memory of a small machine.
    theirs = None if peer == "none" else _peer(peer, n, threads, python, install)
    facts = measure_bootstrap(plan, threads=threads, runs=runs, say=_say) | {"peer": theirs}
    if theirs is not None:
        facts["ratio"] = theirs["seconds"]["median"] / facts["seconds"]["median"]
    if record:
        record_facts("bootstrap", output, facts | circumstances("bootstrap", plan.params), _say)
    if as_json:
        print(json.dumps(facts))
    else:
        _print(facts)


def _peer(choice: str, n: int, threads: int, python: Path | None, install: bool) -> dict[str, Any] | None:
    try:
        interpreter = find_openfhe(Path.home(), install=install, say=_say) if python is None else python
        _say("OpenFHE makes its keys, a minute or two")
        return openfhe_bootstrap(interpreter, n, threads, PEER_RUNS)
    except PeerError as error:
        if choice == "openfhe" or python is not None:
            raise
        _say(f"no OpenFHE: {error}")
        return None


def _print(facts: Mapping[str, Any]) -> None:
    sides = [facts, *([facts["peer"]] if facts["peer"] else [])]
    rows = [
        ("seconds, min", *(f"{side['seconds']['min']:.2f}" for side in sides)),
        ("seconds, median", *(f"{side['seconds']['median']:.2f}" for side in sides)),
        ("levels left", *(f"{side['levels_left']} of {side['scale_bits']:.0f} bits" for side in sides)),
        ("precision, worst slot", *(f"{side['precision_bits_worst']:.1f} bits" for side in sides)),
        ("precision, mean", *(f"{side['precision_bits_mean']:.1f} bits" for side in sides)),
        ("security", *(f"{side['security_bits'] or 'below 128'} bits" for side in sides)),
        ("keys", *(format_bytes(side["key_bytes"]) for side in sides)),
        ("peak memory", *(format_bytes(side["peak_memory_bytes"]) for side in sides)),
    ]
    pair = facts["pair_seconds"]["median"]
    rows.insert(2, ("two real in one, median", f"{pair:.2f}", *("" for _ in sides[1:])))
    console = Console()
    columns = ("", "ours", *(["OpenFHE"] if facts["peer"] else []))
    title = f"Bootstrap, N = 2^{facts['log_n']}, {facts['slots']} slots, threads: {facts['threads']}"
    console.print(results_table(title, columns, rows))
    stages = [(name, f"{seconds:.3f}") for name, seconds in facts["stages"].items()]
    console.print(results_table("Ours by stage", ("stage", "seconds"), stages))
    for side in sides:
        console.print(side["preset"], markup=False, highlight=False)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
