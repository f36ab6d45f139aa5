"""`aegis calibrate --kernels`: how fast this machine computes, as a file that plans are made with."""

from __future__ import annotations

from pathlib import Path

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

BUSY = 1.3  # median over fastest run of a transform, beyond which runs were disturbed


def calibrate_kernels(output: Path, *, check: bool, as_json: bool) -> None:
    """Measures with one thread and with all; `check` then predicts operations and measures them too."""
    plan, console = bootstrap_plan(), Console(stderr=as_json)
    threads = (1, machine.usable_cores())
    found = calibrate_device(
        plan.params,
        threads,
        name=machine.cpu_model(machine.cpu_fields()),
        provenance=_provenance(plan),
        memory_bytes=psutil.virtual_memory().total,
        say=console.print,
    )
    write_device_file(output, found)
    report(console, found)
    for count in dict.fromkeys(threads) if check else ():
        _check(console, plan, found, count)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())


def bootstrap_plan() -> BootstrapPlan:
    """Whose chain is measured: full slots at N = 2^16."""
    return presets.n16()


def _provenance(plan: BootstrapPlan) -> str:
    cpu, cores = machine.cpu_model(machine.cpu_fields()), machine.usable_cores()
    commit = provenance.commit(provenance.checkout()) or "unknown"
    return (
        f"measured on {cpu} with {cores} cores, kernels {plan.params.ring.path}, primes of "
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
