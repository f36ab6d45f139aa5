"""`aegis plan`: where a model's limbs and tokens would lie on several devices, and what that costs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.cli.explanations import print_explanations
from aegis_fhe.cli.insecure import require_secure
from aegis_fhe.cli.plan_front import FRONT, check_front, find_front, front_svg, print_front
from aegis_fhe.cli.plan_timeline import print_timeline
from aegis_fhe.errors import AegisError
from aegis_fhe.observe.table import format_bytes, format_seconds, results_table
from aegis_fhe.placement.compare import AEGIS, Comparison, Verdict
from aegis_fhe.placement.cost import load_device, load_network
from aegis_fhe.placement.evaluate import STAGES, Evaluation, Machine
from aegis_fhe.placement.front_report import front_facts
from aegis_fhe.placement.model_shapes import MODELS
from aegis_fhe.placement.one_device import OneDevice
from aegis_fhe.placement.plan_file import plan_document
from aegis_fhe.placement.plan_storing import stored_plan
from aegis_fhe.placement.planned_layer import PlannedLayer
from aegis_fhe.placement.report import describe_misfit, describe_parameters, plan_facts
from aegis_fhe.placement.workload import Objective, Workload

# By how a command names them: what this system uses, and the limbs of the published one.
PARAMETERS = {"ours": presets.n16, "published": presets.published, "tiny": presets.tiny}
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "GB": 10**9, "TB": 10**12}


def plan(
    model: Annotated[str, typer.Option(help=f"One of {', '.join(MODELS)}.")],
    tokens: Annotated[int, typer.Option(min=8, max=65536, help="Length of the text.")] = 2048,
    devices: Annotated[int, typer.Option(min=1, max=1024, help="How many.")] = 4,
    device: Annotated[
        str, typer.Option(help="a100, h100, h200, or what `aegis calibrate` measured.")
    ] = "a100",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Of a measured device; by default as many as it was measured with."),
    ] = None,
    device_memory: Annotated[str, typer.Option(help="Of each device, such as 40GiB.")] = "40GiB",
    link: Annotated[str, typer.Option(help="A preset, such as a100-nvlink, or a file.")] = "a100-nvlink",
    strategy: Annotated[str, typer.Option(help="One, or all with --compare.")] = AEGIS,
    compare: Annotated[bool, typer.Option("--compare", help="All strategies.")] = False,
    objective: Annotated[
        str, typer.Option(help="time or bytes: the least of which; or front: all plans between the two.")
    ] = "time",
    parameters: Annotated[
        str,
        typer.Option(
            help="ours; published: 35 + 4 limbs as the published system has, for plans only; or tiny, of no "
            "security, to run a plan on any machine."
        ),
    ] = "ours",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow parameters of less than 128 bits of security.")
    ] = False,
    explained: Annotated[
        bool, typer.Option("--explain", help="What forces each collective, what alternatives cost.")
    ] = False,
    timed: Annotated[
        bool, typer.Option("--timeline", help="What each way to hide exchanges gives, switched off alone.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="A file for the front as an SVG drawing.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file for the JSON, which aegis layer runs.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Predict bytes, seconds and memory of one layer on several devices, from shapes alone."""
    if model not in MODELS:
        raise AegisError(f"model {model!r} is unknown: expected one of {', '.join(MODELS)}")
    check_front(objective, strategy, plot, explained=explained, timed=timed)
    found, whole_front = MODELS[model], objective == FRONT
    workload = Workload(
        shape=found.layer,
        degrees=found.degrees,
        tokens=tokens,
        bootstrap=bootstrap_of(parameters, insecure),
        machine=Machine(device=load_device(device, threads), network=load_network(link)),
        devices=devices,
        memory_bytes=parse_bytes(device_memory),
        objective="time" if whole_front else _objective(objective),
    )
    comparison = Comparison(workload)
    known = comparison.names
    if strategy not in known:
        raise AegisError(f"strategy {strategy!r} is unknown: expected one of {', '.join(known)}")
    one_device = comparison.one_device
    points = find_front(comparison) if whole_front else []
    names = (known if compare else [strategy]) if not whole_front else [*comparison.strategies()] * compare
    verdicts = {name: comparison.verdict(name) for name in names}
    if not whole_front and not compare and not verdicts[strategy].fits:
        verdicts = {"single": comparison.verdict("single"), **verdicts}
        raise AegisError(describe_misfit(strategy, verdicts, workload))
    facts = plan_facts(model, found.layers, workload, verdicts, one_device)
    if whole_front:
        facts.update(objective=FRONT, front=front_facts(points, one_device))
    if plot is not None:
        plot.write_text(front_svg(model, workload, points, verdicts))
    explanations = {name: comparison.explain(v.best) for name, v in verdicts.items()} if explained else {}
    if explained:
        facts["explanation"] = {n: [one.facts() for one in found] for n, found in explanations.items()}
    timelines = {name: comparison.ablation(v.best) for name, v in verdicts.items()} if timed else {}
    if timed:
        facts["timeline"] = {name: found.facts() for name, found in timelines.items()}
    if output is not None:
        layer = PlannedLayer.of_workload(model, workload)
        stored = {name: stored_plan(layer, verdict.best) for name, verdict in verdicts.items()}
        front = [stored_plan(layer, point.evaluation) for point in points]
        output.write_text(plan_document(facts, stored, front))
    if as_json:
        typer.echo(json.dumps(facts))
        return
    console = Console()
    if points:
        print_front(points, one_device, console)
    if verdicts:
        _print_verdicts(model, workload, verdicts, one_device, console)
    _print_notes(workload, one_device, console)
    for name, ablated in timelines.items():
        print_timeline(name, ablated, console)
    for name, reasons in explanations.items():
        print_explanations(name, reasons)


def parse_bytes(text: str) -> int:
    """`40GiB`, `80 GB`, `2.5TiB`. Raises AegisError."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]i?B)\s*", text)
    if match is None or match[2] not in _UNITS or float(match[1]) <= 0:
        raise AegisError(f"{text!r} is no amount of memory: write it as 40GiB; units: {', '.join(_UNITS)}")
    return int(float(match[1]) * _UNITS[match[2]])


def _objective(text: str) -> Objective:
    known: dict[str, Objective] = {"time": "time", "bytes": "bytes"}
    if text not in known:
        raise AegisError(f"objective {text!r} is unknown: expected time, bytes or {FRONT}")
    return known[text]


def bootstrap_of(name: str, insecure: bool) -> BootstrapPlan:
    """Parameters by name. Raises AegisError for unknown ones, and for insecure ones that are not allowed."""
    if name not in PARAMETERS:
        raise AegisError(f"parameters {name!r} are unknown: expected {' or '.join(PARAMETERS)}")
    bootstrap = PARAMETERS[name]()
    require_secure(bootstrap.params, insecure)
    return bootstrap


def _print_verdicts(
    model: str, workload: Workload, verdicts: Mapping[str, Verdict], one_device: OneDevice, console: Console
) -> None:
    title = f"{model}, {workload.tokens} tokens, one layer, {workload.devices} devices"
    columns = ("strategy", "rendering", "fits", "predicted", "speed-up", "efficiency")
    console.print(results_table(title, columns, [_time_row(n, v, one_device) for n, v in verdicts.items()]))
    title = "GiB on the fullest device; share of single's, with keys and without"
    parts = ("strategy", "keys", "weights", "values", "workspace", "total", "share", "without")
    console.print(results_table(title, parts, [_memory_row(n, v, one_device) for n, v in verdicts.items()]))
    title = "bytes received by the device that receives most"
    console.print(results_table(title, ("strategy", *STAGES), [_byte_row(n, v) for n, v in verdicts.items()]))
    console.print(f"Of each strategy the rendering of least {workload.objective} that fits is shown.")
    for name, verdict in verdicts.items():
        if not verdict.fits:
            console.print(describe_misfit(name, verdicts, workload))


def _print_notes(workload: Workload, one_device: OneDevice, console: Console) -> None:
    machine = workload.machine
    console.print(f"Parameters: {describe_parameters(workload)}.")
    console.print(
        f"Bytes are exact. Seconds are predicted for {machine.device.name} on {machine.network.name}: "
        f"{machine.device.provenance}. Speed-up is against the fastest program of one device without a limit "
        f"to its memory ({_program(one_device.fastest, workload)}), share against what the strategy single "
        f"takes so ({_program(one_device.single, workload)})."
    )


def _program(found: Evaluation, workload: Workload) -> str:
    fits = "fits" if found.memory.total <= workload.memory_bytes else "does not fit"
    seconds, memory = format_seconds(found.timeline.seconds), format_bytes(found.memory.total)
    return f"{found.rendering.variant}: {seconds}, {memory}, which {fits}"


def _time_row(name: str, verdict: Verdict, one_device: OneDevice) -> tuple[str, ...]:
    best, gain = verdict.best, one_device.speedup(verdict.best)
    return (
        name,
        best.rendering.variant,
        "yes" if verdict.fits else "no",
        format_seconds(best.timeline.seconds),
        f"{gain:.2f}",
        f"{100 * gain / best.plan.mesh.world_size:.1f} %",
    )


def _memory_row(name: str, verdict: Verdict, one_device: OneDevice) -> tuple[str, ...]:
    memory, share = verdict.best.memory, one_device.memory_share(verdict.best)
    parts = (memory.keys, memory.weights, memory.activations, memory.workspace, memory.total)
    shares = (share["with_keys"], share["without_keys"])
    return (name, *(f"{part / 2**30:.2f}" for part in parts), *(f"{100 * x:.1f} %" for x in shares))


def _byte_row(name: str, verdict: Verdict) -> tuple[str, ...]:
    return (name, *(format_bytes(verdict.best.received(stage)) for stage in STAGES))
