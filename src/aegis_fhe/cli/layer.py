"""`aegis layer`: one encrypted layer, computed by worker processes as a plan's file says.

`run` takes a compiled model and texts. A plan has neither: its layer is of drawn weights, on a drawn text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from aegis_fhe.bench.planned_run import DrawnProgram, require_room
from aegis_fhe.bench.result_rows import append_facts
from aegis_fhe.cli.circumstances import circumstances
from aegis_fhe.cli.insecure import require_secure
from aegis_fhe.cli.layer_bar import LayerBar
from aegis_fhe.cli.machine import usable_cores
from aegis_fhe.cli.seed import seed_key, seed_number, warn_of_seed
from aegis_fhe.cli.stage_lines import stage_note, stage_table
from aegis_fhe.errors import AegisError, CompatibilityError
from aegis_fhe.observe.table import format_bytes, format_seconds, results_table
from aegis_fhe.placement.evaluate import STAGES
from aegis_fhe.placement.model_shapes import MODELS
from aegis_fhe.placement.plan_file import CURE, StoredPlan, read_plan_file
from aegis_fhe.placement.planned_layer import PlannedLayer
from aegis_fhe.runtime.collectives import TIMEOUT_S
from aegis_fhe.service.plan_job import PlanJob

MEMORY = ("keys", "weights", "activations", "workspace", "total")


def layer(
    file: Annotated[Path, typer.Argument(help="A plan that `aegis plan ... -o FILE` wrote.")],
    strategy: Annotated[
        str | None,
        typer.Option(help='Which of its plans: by default aegis; of a front "front 1", the fastest, ...'),
    ] = None,
    kernels: Annotated[
        str | None, typer.Option(help='Kernel path of the workers; "cuda": a GPU for each device.')
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="Reproducible weights, text and keys from this word.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow parameters of less than 128 bits of security.")
    ] = False,
    trace: Annotated[
        Path | None,
        typer.Option(help="A file for what every device did when, which ui.perfetto.dev opens."),
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(
            help="Keep the run's files and checkpoints in this folder; workers that fail are started again. "
            "With the same --seed the command goes on where an earlier one was ended."
        ),
    ] = None,
    restarts: Annotated[int, typer.Option(help="With --job: at most so often.", min=0)] = 3,
    checkpoints: Annotated[int, typer.Option(help="With --job: so many in a layer.", min=0)] = 4,
    hosts: Annotated[
        bool,
        typer.Option("--hosts", help="With --job: wait for workers that torchrun starts elsewhere."),
    ] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds that a worker waits for another.", min=1)
    ] = TIMEOUT_S,
    output: Annotated[
        Path | None, typer.Option(help="Append the run's facts and circumstances to this file of rows.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No word on what is being done.")] = False,
) -> None:
    """Run one encrypted layer as a plan says, on worker processes of this machine."""
    stored = read_plan_file(file).plan(strategy)
    planned = _known_layer(stored)
    require_secure(planned.bootstrap.params, insecure)
    kept = _job(job, restarts, checkpoints, hosts)
    if not hosts:
        require_room(stored, kernels=kernels)
    warn_of_seed(seed)
    if trace is not None:
        _require_writable(trace)
    drawn, silent = DrawnProgram.of(stored, planned, seed_number(seed)), quiet or as_json
    with LayerBar(drawn.planned, quiet=silent) as bar:
        facts = drawn.run(
            seed_key(seed),
            kernels=kernels,
            threads=_threads(stored),
            timeout_s=timeout_s,
            job=kept,
            say=_silent if silent else _say,
            on_progress=bar.report,
            trace=trace,
        )
    if output is not None:
        params = replace(planned.bootstrap.params, kernel_path=kernels)
        append_facts(output, [facts | circumstances("layer", params)])
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        _print(facts, planned.bootstrap.params.describe_security(), Console())


def _job(folder: Path | None, restarts: int, checkpoints: int, hosts: bool) -> PlanJob | None:
    """Raises CompatibilityError for hosts without a folder that they could know."""
    if folder is None:
        if hosts:
            raise CompatibilityError("--hosts needs --job FOLDER, on a disk that all hosts see")
        return None
    return PlanJob(folder=folder, restarts=restarts, cuts=checkpoints, one_host=not hosts)


def _known_layer(stored: StoredPlan) -> PlannedLayer:
    """Raises CompatibilityError for a model of another shape than the one of that name here."""
    found, model = PlannedLayer.of(stored), MODELS.get(stored.model)
    if model is None:
        raise CompatibilityError(
            f"the plan was made for model {stored.model!r}, which is none of {', '.join(MODELS)}: {CURE}"
        )
    if (found.shape, found.degrees) != (model.layer, model.degrees):
        raise CompatibilityError(f"the plan was made for another version of model {stored.model}: {CURE}")
    return found


def _threads(stored: StoredPlan) -> int | None:
    """Of each device: as many as the plan's was measured with, where this machine has so many cores."""
    wanted = stored.machine.device.threads
    return wanted if wanted is not None and wanted * stored.devices <= usable_cores() else None


def _require_writable(path: Path) -> None:
    """Before the work. Raises AegisError."""
    try:
        path.touch()
    except OSError as error:
        raise AegisError(f"{path} cannot be written ({error.strerror}): give another file") from error


def _print(facts: Mapping[str, Any], security: str, console: Console) -> None:
    mesh = facts["mesh"]
    title = (
        f"{facts['model']}, {facts['tokens']} tokens, one layer, {facts['strategy']} {facts['rendering']} on "
        f"{mesh['tokens']} x {mesh['limbs']} devices"
    )
    columns = ("stage", *(f"rank {rank} received" for rank in range(facts["devices"])))
    console.print(results_table(title, columns, [_stage_row(facts, name) for name in STAGES]))
    comparison = facts["comparison"]
    console.print(stage_table(comparison, f"Seconds of the slowest device, rank {comparison['rank']}"))
    console.print(stage_note(comparison), markup=False, highlight=False)
    columns = ("held at most / predicted", *(f"rank {rank}" for rank in range(facts["devices"])))
    console.print(results_table("Memory", columns, [_memory_row(facts, kind) for kind in MEMORY]))
    for line in (
        "Bytes are those of the plan, for every rank, stage and kind of collective. Steps took "
        + ", ".join(f"{name} {format_seconds(s)}" for name, s in facts["seconds"].items())
        + ".",
        "Memory is that of the moment when a device held most: activations with what it received, workspace "
        "of the operator that ran. A process took "
        f"{format_bytes(max(facts['peak_process_bytes']))}, Python and the client's files included.",
        f"Error: {facts['bits']:.1f} bits below the exact layer, largest of all features over the rms; "
        f"approximations {facts['bits_of_approximations']:.1f}, noise {facts['bits_of_noise']:.1f}.",
        f"Weights and text were drawn. Workers had no secret key. {security}.",
    ):
        console.print(line, markup=False, highlight=False)


def _stage_row(facts: Mapping[str, Any], name: str) -> tuple[str, ...]:
    own = STAGES[name]
    received = (sum(n for _, stage, _, n in one if stage in own) for one in facts["received_bytes"])
    return (name, *map(format_bytes, received))


def _memory_row(facts: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    pairs = zip(facts["held_bytes"], facts["predicted_held_bytes"], strict=True)
    return (kind, *(f"{format_bytes(own[kind])} / {format_bytes(said[kind])}" for own, said in pairs))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _silent(line: str) -> None:
    pass
