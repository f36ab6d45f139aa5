"""`aegis bench scaling`: one encrypted layer on one process and on several, in turn."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console

from aegis_fhe.bench.link_calibration import calibrate_link
from aegis_fhe.bench.result_rows import record_facts
from aegis_fhe.bench.scaling import World, measure_ceiling, measure_scaling, projections, scaling_workload
from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.cli import machine
from aegis_fhe.cli.circumstances import circumstances
from aegis_fhe.cli.measured_device import measured_device
from aegis_fhe.cli.stage_lines import stage_note, stage_table
from aegis_fhe.cli.world_sizes import world_sizes
from aegis_fhe.errors import ParameterError
from aegis_fhe.observe.table import format_bytes, results_table
from aegis_fhe.placement.cost import Network, load_network
from aegis_fhe.placement.evaluate import Machine

DEGREES = range(11, 15)
PROJECTED = (4, 8, 16)


def bench_scaling(
    *,
    n: int,
    threads: int,
    runs: int,
    worlds: str,
    tokens: int,
    link: str,
    projected: bool,
    output: Path | None,
    record: bool,
    as_json: bool,
) -> None:
    """At degree 2^n, of no security: a layer at 2^16 takes minutes on one core. threads: of each process."""
    sizes = _worlds(worlds, threads)
    if n not in DEGREES:
        raise ParameterError(f"--n {n}: scaling takes {DEGREES.start} to {DEGREES.stop - 1}")
    bootstrap = presets.tiny(n, strided=False)
    here = Machine(
        device=measured_device(bootstrap.params, threads, _say), network=Network(link=calibrate_link())
    )
    memory = psutil.virtual_memory().total
    planned = [
        World.of(scaling_workload(bootstrap, here, tokens=tokens, devices=size, memory_bytes=memory), _say)
        for size in sizes
    ]
    facts = {
        "log_n": n,
        "tokens": tokens,
        "link": {
            "bytes_per_second": here.network.link.bytes_per_second,
            "latency_seconds": here.network.link.latency_seconds,
        },
        **measure_scaling(planned, runs=runs, threads=threads, say=_say),
    }
    facts["ceiling"] = measure_ceiling(planned[0], sizes[-1], threads=threads, say=_say)
    if projected:
        _say(f"projecting {', '.join(map(str, PROJECTED))} devices")
        network = load_network(link)
        facts["projections"] = projections(
            Machine(device=here.device, network=network), presets.n16(), PROJECTED
        )
    if record:
        record_facts("scaling", output, facts | circumstances("scaling", bootstrap.params), _say)
    if as_json:
        print(json.dumps(facts))
    else:
        _print(facts)


def _worlds(text: str, threads: int) -> list[int]:
    sizes, cores = world_sizes(text), machine.usable_cores()
    if sizes[-1] * threads > cores:
        raise ParameterError(
            f"--worlds {text} with {threads} thread(s) each: this process may use {cores} cores"
        )
    return sizes


def _print(facts: Mapping[str, Any]) -> None:
    console = Console()
    columns = ("devices", "plan", "s, median", "fastest", "predicted", "speed-up", "efficiency", "waiting")
    rows = [
        (
            world["devices"],
            world["rendering"],
            f"{median(world['seconds']):.2f}",
            f"{min(world['seconds']):.2f}",
            f"{world['predicted_seconds']:.2f}",
            f"{facts['speedup'][str(world['devices'])]:.3f}",
            f"{100 * facts['efficiency'][str(world['devices'])]:.1f} %",
            f"{100 * world['waiting']:.1f} %",
        )
        for world in facts["worlds"]
    ]
    title = f"One encrypted layer, {facts['tokens']} tokens, N = 2^{facts['log_n']}, processes in turn"
    console.print(results_table(title, columns, rows))
    for world in facts["worlds"]:
        title = f"Stages of the slowest of {world['devices']} device(s), in the run of median seconds"
        console.print(stage_table(world["comparison"], title))
        console.print(stage_note(world["comparison"]), markup=False, highlight=False)
    for line in _lines(facts):
        console.print(line, markup=False, highlight=False)


def _lines(facts: Mapping[str, Any]) -> list[str]:
    link, worlds, ceiling = facts["link"], facts["worlds"], facts["ceiling"]
    held = ", ".join(
        f"{format_bytes(w['held_bytes'])} / {format_bytes(w['predicted_held_bytes'])}" for w in worlds
    )
    lines = [
        f"{facts['threads']} thread(s) a process; {len(worlds[0]['seconds'])} runs of each, in turn; "
        "speed-up is the median over turns. Waiting: seconds of the slowest device in which it did not "
        "compute. Parameters of no security.",
        f"What this machine allows: {ceiling['copies']} runs of one device at the same time, sharing nothing "
        f"but memory and caches, are worth {ceiling['speedup']:.2f}x.",
        f"Held at most / predicted: {held}. Received by the device that receives most: "
        f"{format_bytes(worlds[-1]['received_bytes'])}.",
        f"Link between processes, measured: {link['bytes_per_second'] / 1e9:.2f} GB/s, "
        f"{link['latency_seconds'] * 1e6:.0f} us a message.",
    ]
    for one in facts.get("projections", ()):
        lines.append(
            f"Projection, not measured: BERT-base, 2048 tokens, {one['devices']} devices as fast as this "
            f"one over {one['link']}: {one['speedup']:.2f}x, {100 * one['efficiency']:.1f} % efficiency"
            + ("." if one["fits"] else ", had they the memory.")
        )
    return lines


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
