"""`aegis bench`: our times beside those of another library, or of fewer devices, measured in the same run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from aegis_fhe.bench import result_rows
from aegis_fhe.bench.choose_peer import choose_peer
from aegis_fhe.bench.gpu_operations import gpu_figures, sentences
from aegis_fhe.bench.key_sizes import KeySizes, key_sizes
from aegis_fhe.bench.peer import Peer
from aegis_fhe.bench.report import peer_lines, row_line, rows_table
from aegis_fhe.bench.result_rows import Row, append_rows, to_json
from aegis_fhe.bench.ring_benchmark import measure_ring
from aegis_fhe.bench.ring_table import KERNELS, KEY_GENERATION, NOTES, choose_operations, parameters_of
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.cli import machine
from aegis_fhe.cli.bench_bootstrap import bench_bootstrap
from aegis_fhe.cli.bench_decoder_layer import bench_decoder_layer
from aegis_fhe.cli.bench_replay import bench_replay
from aegis_fhe.cli.bench_scaling import bench_scaling
from aegis_fhe.cli.circumstances import circumstances
from aegis_fhe.errors import ParameterError
from aegis_fhe.ring import native

RUNS = {"ring": 15, "bootstrap": 3, "decoder-layer": 2, "scaling": 5, "replay": 1}
LOG_DEGREES = {"scaling": 12, "replay": 11}  # of the others 16
TOKENS = {"decoder-layer": 128, "scaling": 512, "replay": 256}
WORLDS = {"scaling": "1,2", "replay": "1,2,4,8"}


def bench(
    benchmark: Annotated[str, typer.Argument(help=f"What to measure: {', '.join(RUNS)}.")],
    n: Annotated[
        int | None,
        typer.Option(
            help="The ring degree is 2^n: 15 or 16; bootstraps 8, layers 9 to 16; scaling and replay 11 to "
            "14, by default 12 and 11."
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option(help="Threads on both sides; of scaling and replay, of each device.")
    ] = 1,
    runs: Annotated[
        int | None,
        typer.Option(
            help="Least number of runs: 15, of bootstraps 3, of layers 2 with a text each, of scaling 5, of "
            "replay 1."
        ),
    ] = None,
    operations: Annotated[str | None, typer.Option(help="Only these, separated by commas.")] = None,
    peer: Annotated[str, typer.Option(help="auto, openfhe, tenseal or none.")] = "auto",
    peer_python: Annotated[
        Path | None, typer.Option(help="A python3.10 that imports openfhe; by default one is looked for.")
    ] = None,
    install: Annotated[
        bool, typer.Option(help="Install OpenFHE into an environment of its own where it is missing.")
    ] = True,
    texts: Annotated[
        Path | None, typer.Option(help="Of decoder-layer: sample texts in UTF-8, one per line.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Of decoder-layer: a GGUF file, by default SmolLM2's package.")
    ] = None,
    layer: Annotated[int, typer.Option(help="Of decoder-layer: which, from 0.")] = 15,
    tokens: Annotated[
        int | None,
        typer.Option(help="Length of every text: of decoder-layer 128, of scaling 512, of replay 256."),
    ] = None,
    calibration: Annotated[
        int, typer.Option(help="Of decoder-layer: the first so many texts give the ranges.")
    ] = 64,
    worlds: Annotated[
        str | None,
        typer.Option(help="Numbers of devices, from 1 on: of scaling 1,2, of replay 1,2,4,8."),
    ] = None,
    link: Annotated[
        str, typer.Option(help="Of scaling and replay: what projections assume.")
    ] = "a100-nvlink",
    plan: Annotated[
        list[Path] | None,
        typer.Option(help="Of replay: files of `aegis plan`, from 1 device on, in place of --worlds."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Of all but scaling: a GPU, cuda or cuda:1."),
    ] = None,
    projected: Annotated[
        bool, typer.Option("--project/--no-project", help="Of scaling: to 4, 8 and 16 devices.")
    ] = True,
    output: Annotated[
        Path | None, typer.Option(help="Append rows here; by default to benchmarks/results of a checkout.")
    ] = None,
    record: Annotated[bool, typer.Option(help="Append the rows to a file.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The rows as one JSON list.")] = False,
) -> None:
    """Measure operations beside another library's, or a layer on several devices beside one."""
    runs = RUNS.get(benchmark, 1) if runs is None else runs
    n = LOG_DEGREES.get(benchmark, 16) if n is None else n
    tokens = TOKENS.get(benchmark, 0) if tokens is None else tokens
    _check(benchmark, threads, runs)
    worlds = WORLDS.get(benchmark, "") if worlds is None else worlds
    if benchmark == "replay":
        bench_replay(
            n=n,
            threads=threads,
            runs=runs,
            worlds=worlds,
            tokens=tokens,
            link=link,
            plans=plan or [],
            device=device,
            output=output,
            record=record,
            as_json=as_json,
        )
        return
    if benchmark == "scaling":
        bench_scaling(
            n=n,
            threads=threads,
            runs=runs,
            worlds=worlds,
            tokens=tokens,
            link=link,
            projected=projected,
            output=output,
            record=record,
            as_json=as_json,
        )
        return
    if benchmark == "bootstrap":
        bench_bootstrap(
            n=n,
            threads=threads,
            runs=runs,
            peer=peer,
            python=peer_python,
            install=install,
            device=device,
            output=output,
            record=record,
            as_json=as_json,
        )
        return
    if benchmark == "decoder-layer":
        bench_decoder_layer(
            n=n,
            threads=threads,
            runs=runs,
            texts=texts,
            model=model,
            layer=layer,
            tokens=tokens,
            calibration=calibration,
            device=device,
            output=output,
            record=record,
            as_json=as_json,
        )
        return
    gpu = device is not None and native.off_host(device)
    chosen = choose_operations(operations, gpu=gpu)
    params = parameters_of(n, device)
    other = None
    if not set(chosen) <= set(KERNELS) and not gpu:  # those have a peer of their own
        other = choose_peer(peer, params, threads, python=peer_python, install=install, say=_say)
    try:
        rows = []
        # Lines, no live bar: its thread would run beside what is timed.
        for row in measure_ring(params, other, operations=chosen, threads=threads, runs=runs):
            rows.append(row)
            _say(row_line(row))
    finally:
        if other is not None:
            other.close()
    sizes = key_sizes(params, other) if KEY_GENERATION in chosen else None
    figures = gpu_figures(params, rows)
    if record:
        _record(output, rows, params, other, sizes, figures)
    if as_json:
        typer.echo(to_json(rows))
    else:
        _print(rows, params, other, sizes, sentences(figures))


def _check(benchmark: str, threads: int, runs: int) -> None:
    if benchmark not in RUNS:
        raise ParameterError(f"benchmark {benchmark!r} is unknown: choose {', '.join(RUNS)}")
    cores = machine.usable_cores()
    if not 1 <= threads <= cores:
        raise ParameterError(f"{threads} threads asked for; this process may use 1 to {cores}")
    if runs < 1:
        raise ParameterError(f"{runs} runs asked for; at least 1 is needed")


def _has_note(row: Row) -> bool:
    """Those of the ring's own operations are about their peer, which a GPU does not meet."""
    return row.operation in NOTES and (row.peer is not None or row.operation not in KERNELS)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _record(
    output: Path | None,
    rows: Sequence[Row],
    params: Parameters,
    peer: Peer | None,
    sizes: KeySizes | None,
    figures: Mapping[str, Mapping[str, Any]],
) -> None:
    """Append the rows with the circumstances of the run."""
    extras: dict[str, dict[str, Any]] = {name: {"note": note} for name, note in NOTES.items()}
    if sizes is not None:
        extras[KEY_GENERATION] |= sizes.facts()
    for name, own in figures.items():
        extras[name] = extras.get(name, {}) | dict(own)

    def append(path: Path) -> None:
        append_rows(path, rows, circumstances("ring", params, peer), extras)

    result_rows.record("ring", output, append, _say)


def _print(
    rows: Sequence[Row],
    params: Parameters,
    peer: Peer | None,
    sizes: KeySizes | None,
    figures: Sequence[str],
) -> None:
    """The table, what was compared, and what the comparison leaves unsaid."""
    console = Console()
    console.print(rows_table(f"Ring, N = 2^{params.log_degree}: times in ms, ours | the peer's", rows))
    lines = [
        f"Ours: {params.name}, {len(params.q)} + {len(params.p)} limbs, "
        f"{len(params.digits(params.max_level))} digits, {params.describe_security()}, {params.ring.path}.",
        *peer_lines(rows),
        *([f"{peer.facts.name}: {peer.facts.description}."] if peer is not None else []),
        *(f"{row.operation}: {NOTES[row.operation]}." for row in rows if _has_note(row)),
        *([sizes.sentence()] if sizes is not None else []),
        *figures,
        *(["Ratio: the peer's median / ours."] if any(row.peer for row in rows) else []),
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False)
