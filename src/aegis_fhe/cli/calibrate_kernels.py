"""`aegis calibrate --kernels`: how fast this machine computes, as a file that plans are made with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import msgspec
import psutil
import typer
from rich.console import Console

from aegis_fhe.bench import provenance
from aegis_fhe.bench.device_calibration import calibrate_device
from aegis_fhe.bench.model_check import check_model
from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.cli import machine
from aegis_fhe.observe.table import format_seconds, results_table
from aegis_fhe.placement.cost import KERNELS, DeviceFile, write_device_file
from aegis_fhe.ring import native
from aegis_fhe.runtime.gpus import gpu_facts, gpu_line

BUSY = 1.3  # median over fastest run of a transform, beyond which runs were disturbed


def calibrate_kernels(output: Path, *, device: str | None, check: bool, as_json: bool) -> None:
    """Measures with one thread and with all, or on a GPU, the kernel path `device`; `check` then predicts
    operations and measures them too.
    """
    plan, console = bootstrap_plan(), Console(stderr=as_json)
    if device is not None:
        plan = replace(plan, params=replace(plan.params, kernel_path=device))
    off_host = native.off_host(plan.params.ring.path)
    threads = (1,) if off_host else (1, machine.usable_cores())
    found = calibrate_device(
        plan.params,
        threads,
        **_subject(plan),
        provenance=_provenance(plan),
        say=console.print,
    )
    write_device_file(output, found)
    report(console, found)
    for count in dict.fromkeys(threads) if check else ():
        _check(console, plan, found, count)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())


class _Subject(TypedDict):
    """Of what is measured."""

    name: str
    memory_bytes: int


def _subject(plan: BootstrapPlan) -> _Subject:
    """A GPU, or this machine."""
    ring = plan.params.ring
    if native.on_gpu(ring.path):
        facts = gpu_facts(ring.device)
        return {"name": facts["name"], "memory_bytes": facts["memory_bytes"]}
    cpu = machine.cpu_model(machine.cpu_fields())
    return {"name": cpu, "memory_bytes": psutil.virtual_memory().total}


def bootstrap_plan() -> BootstrapPlan:
    """Whose chain is measured: full slots at N = 2^16."""
    return presets.n16()


def _provenance(plan: BootstrapPlan) -> str:
    cpu, cores, ring = machine.cpu_model(machine.cpu_fields()), machine.usable_cores(), plan.params.ring
    commit = provenance.commit(provenance.checkout()) or "unknown"
    gpu = f"{gpu_line(ring.device)}, on " if native.on_gpu(ring.path) else ""
    return (
        f"measured on {gpu}{cpu} with {cores} cores, kernels {ring.path}, primes of "
        f"{plan.params.name}, {provenance.now()}, commit {commit}"
    )


def report(console: Console, found: DeviceFile) -> None:
    """Every kernel, and whether the machine was busy."""
    columns = ["row of N residues"]
    for setting in found.settings:
        columns += [f"{setting.threads} thr. min us", "median us"]
    rows: list[list[str | float]] = []
    for kernel in KERNELS:
        cells: list[str | float] = [kernel]
        for setting in found.settings:
            cells += [getattr(set_, kernel) * 1e6 for set_ in (setting.fastest, setting.median)]
        rows.append(cells)
    between: list[str | float] = ["operation, whatever its rows"]
    for setting in found.settings:
        between += ["", setting.operation_seconds * 1e6]
    rows.append(between)
    console.print(results_table(f"Kernels at N = 2^{found.log_degree}: {found.provenance}", columns, rows))
    for setting in found.settings:
        if setting.median.ntt > BUSY * setting.fastest.ntt:
            console.print(
                f"With {setting.threads} threads the median transform took over {BUSY} times the fastest: "
                "the machine was busy with something else. Measure it again before planning with it."
            )


def _check(console: Console, plan: BootstrapPlan, found: DeviceFile, threads: int) -> None:
    rows = [
        (one.operation, format_seconds(one.predicted), format_seconds(one.measured), one.ratio)
        for one in check_model(plan, found.device(threads), threads)
    ]
    columns = ("operation", "predicted", "measured", "ratio")
    console.print(results_table(f"The cost model, {threads} threads", columns, rows))
