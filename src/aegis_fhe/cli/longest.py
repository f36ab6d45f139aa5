"""`aegis longest`: which lengths of text fit a number of devices, by strategy."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from aegis_fhe.cli.plan import PARAMETERS, bootstrap_of, parse_bytes
from aegis_fhe.errors import AegisError
from aegis_fhe.observe.scatter import Axis, Series, scatter_svg, stacked_svg
from aegis_fhe.observe.table import format_bytes, results_table
from aegis_fhe.placement.compare import Comparison
from aegis_fhe.placement.cost import load_device, load_network
from aegis_fhe.placement.evaluate import Machine
from aegis_fhe.placement.longest import Lengths, lengths_up_to
from aegis_fhe.placement.model_shapes import MODELS
from aegis_fhe.placement.report import describe_parameters
from aegis_fhe.placement.workload import Workload

# [memory of a device][strategy][devices]: tokens, None where no length that was tried fits.
Table = Mapping[int, Mapping[str, Mapping[int, int | None]]]


def longest(
    model: Annotated[str, typer.Option(help=f"One of {', '.join(MODELS)}.")],
    devices: Annotated[str, typer.Option(help="How many, with commas between.")] = "1,2,4,8",
    memory: Annotated[
        str, typer.Option(help="Of each device, with commas between.")
    ] = "24GiB,40GiB,80GiB,141GiB",
    strategy: Annotated[str, typer.Option(help="With commas between; by default all.")] = "",
    most: Annotated[int, typer.Option(min=128, max=65536, help="The longest text to try.")] = 16384,
    parameters: Annotated[str, typer.Option(help=f"One of {', '.join(PARAMETERS)}.")] = "ours",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow parameters of less than 128 bits of security.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="A file for an SVG drawing.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file for the JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Find the longest text that fits a number of devices, by strategy, from shapes alone."""
    if plot is not None and plot.suffix != ".svg":
        raise AegisError(
            f"--plot writes SVG, not {plot.suffix or 'a file without an ending'}: end it in .svg"
        )
    workload = _workload(model, parameters, insecure=insecure)
    counts = [_count(text) for text in devices.split(",")]
    sizes = [parse_bytes(text) for text in memory.split(",")]
    names = _strategies(strategy, workload)
    lengths = Lengths(workload, lengths_up_to(most))
    print(f"{len(lengths.tried)} lengths, up to minutes for each strategy", file=sys.stderr, flush=True)
    found = {
        size: {name: {n: lengths.longest(name, n, size) for n in counts} for name in names} for size in sizes
    }
    facts = _facts(model, workload, lengths, found)
    if plot is not None:
        plot.write_text(_svg(model, found, max(lengths.tried)))
    if output is not None:
        output.write_text(json.dumps(facts, indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(facts))
        return
    _print(model, workload, lengths, found, counts)


def _workload(model: str, parameters: str, *, insecure: bool) -> Workload:
    """Memory depends on no device's speed and on no link: any will do."""
    if model not in MODELS:
        raise AegisError(f"model {model!r} is unknown: expected one of {', '.join(MODELS)}")
    return Workload(
        shape=MODELS[model].layer,
        degrees=MODELS[model].degrees,
        tokens=0,
        bootstrap=bootstrap_of(parameters, insecure),
        machine=Machine(device=load_device("a100"), network=load_network("a100-nvlink")),
        devices=1,
        memory_bytes=0,
    )


def _count(text: str) -> int:
    if not text.strip().isdecimal() or not 1 <= int(text) <= 1024:
        raise AegisError(f"{text!r} is no number of devices: write 1 to 1024, as in 1,2,4,8")
    return int(text)


def _strategies(text: str, workload: Workload) -> list[str]:
    known = Comparison(workload).names
    names = [name.strip() for name in text.split(",")] if text else known
    for name in names:
        if name not in known:
            raise AegisError(f"strategy {name!r} is unknown: expected one of {', '.join(known)}")
    return names


def _facts(model: str, workload: Workload, lengths: Lengths, found: Table) -> dict[str, Any]:
    params = workload.bootstrap.params
    return {
        "model": model,
        "parameters": {"name": params.name, "fingerprint": params.fingerprint()},
        "layers": 1,
        "tokens_tried": list(lengths.tried),
        "longest": [
            {"memory_bytes": size, "strategy": name, "devices": n, "tokens": tokens}
            for size, rows in found.items()
            for name, row in rows.items()
            for n, tokens in row.items()
        ],
        "least_memory": [
            {
                "strategy": name,
                "devices": n,
                "tokens": tokens,
                "rendering": least and least.rendering,
                "memory_bytes_per_device": least and {**asdict(least.memory), "total": least.memory.total},
            }
            for (name, n, tokens), least in sorted(lengths.known.items())
        ],
    }


def _print(model: str, workload: Workload, lengths: Lengths, found: Table, counts: Sequence[int]) -> None:
    console, most = Console(), max(lengths.tried)
    columns = ("strategy", *(f"{n} device" + "s" * (n > 1) for n in counts))
    for size, rows in found.items():
        title = f"{model}, the longest text that fits {format_bytes(size)} a device"
        cells = [(name, *(_cell(row[n], most) for n in counts)) for name, row in rows.items()]
        console.print(results_table(title, columns, cells))
    console.print(f"Parameters: {describe_parameters(workload)}.")
    console.print(
        f"In tokens. Tried: {', '.join(f'{n:,}' for n in lengths.tried)}. Memory is of one layer with its "
        "own weights and keys, in the rendering of each strategy that takes least. single is on one device.",
        markup=False,
    )


def _cell(tokens: int | None, most: int) -> str:
    if tokens is None:
        return "none"
    return f">= {tokens:,}" if tokens == most else f"{tokens:,}"


def _svg(model: str, found: Table, most: int) -> str:
    """A drawing for each memory size that something fits, a line for each strategy."""
    x = Axis(label="devices", show=lambda n: f"{n:g}")
    y = Axis(label="tokens", show=lambda n: f"{n:,.0f}", logarithmic=True)
    drawings = []
    for size, rows in found.items():
        places = {name: [(float(n), float(t)) for n, t in row.items() if t] for name, row in rows.items()}
        lines = [Series(name=name, points=points, joined=True) for name, points in places.items() if points]
        title = f"{model}, the longest text that fits {format_bytes(size)} a device (tried up to {most:,})"
        if lines:
            drawings.append(scatter_svg(title, x, y, lines))
    if not drawings:
        raise AegisError("nothing to draw, for no length that was tried fits: give more memory")
    return stacked_svg(drawings)
