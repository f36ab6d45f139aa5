"""What `aegis plan --objective front` prints and draws."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from aegis_fhe.errors import AegisError
from aegis_fhe.observe.scatter import Axis, Series, scatter_svg
from aegis_fhe.observe.table import Cell, format_bytes, format_seconds, results_table
from aegis_fhe.placement.choose import Planned
from aegis_fhe.placement.choose.planning import POINTS
from aegis_fhe.placement.compare import AEGIS, Comparison, Verdict
from aegis_fhe.placement.evaluate import Evaluation
from aegis_fhe.placement.front_report import describe_change
from aegis_fhe.placement.one_device import OneDevice
from aegis_fhe.placement.report import describe_misfit
from aegis_fhe.placement.workload import Workload

# The objective that asks for it.
FRONT = "front"
_COLUMNS = ("plan", "received", "predicted", "speed-up", "efficiency", "memory", "packing")


def check_front(objective: str, strategy: str, plot: Path | None, *, explained: bool, timed: bool) -> None:
    """Raises AegisError for options that do not go together."""
    if objective != FRONT:
        if plot is not None:
            raise AegisError(f"--plot draws the front, not the least {objective}: add --objective {FRONT}")
        return
    if strategy != AEGIS:
        raise AegisError(
            f"strategy {strategy!r} has no front, for it leaves nothing to choose: leave out --strategy, or "
            "add --compare and have it in the plot"
        )
    if explained:
        raise AegisError("--explain explains one plan, not a front: choose --objective time or bytes")
    if timed:
        raise AegisError("--timeline is of one plan, not of a front: choose --objective time or bytes")
    if plot is not None and plot.suffix != ".svg":
        raise AegisError(
            f"--plot writes SVG, not {plot.suffix or 'a file without an ending'}: end it in .svg"
        )


def find_front(comparison: Comparison) -> list[Planned]:
    """Raises AegisError, with what is lacking, when nothing fits."""
    points = comparison.front()
    if not points:
        verdicts = {"single": comparison.verdict("single"), AEGIS: comparison.verdict(AEGIS)}
        raise AegisError(describe_misfit(AEGIS, verdicts, comparison.workload))
    return points


def print_front(points: Sequence[Planned], one_device: OneDevice, console: Console) -> None:
    """From the fastest on."""
    rows: list[tuple[Cell, ...]] = [
        (number, *_figures(point.evaluation, one_device)) for number, point in enumerate(points, 1)
    ]
    title = f"the front of {AEGIS}: {len(points)} plans that fit and that no other beats in bytes and seconds"
    console.print(results_table(title, _COLUMNS, rows))
    for number, (before, after) in enumerate(itertools.pairwise(points), 2):
        console.print(f"{number}, unlike {number - 1}, has {describe_change(before, after)}")
    console.print(
        f"Received: by the device that receives most, exactly. Of each packing at most {POINTS} points of "
        "its front were evaluated, evenly in the logarithm of bytes, always with both ends; others lie "
        "between them. Packing: tokens of a block, chunks of attention's babies."
    )


def front_svg(
    model: str, workload: Workload, points: Sequence[Planned], others: Mapping[str, Verdict]
) -> str:
    """The front as a line, of other strategies the plan that was compared, marked where it does not fit."""
    machine = workload.machine
    where = f"{workload.devices} x {machine.device.name}, {machine.network.name}"
    title = f"{model}, {workload.tokens} tokens, {where}"
    line = Series(name=f"{AEGIS}, front", points=[_place(p.evaluation) for p in points], joined=True)
    marks = [
        Series(name=name if verdict.fits else f"{name}, does not fit", points=[_place(verdict.best)])
        for name, verdict in others.items()
    ]
    x = Axis(label="bytes received by the device that receives most, one layer", show=format_bytes)
    y = Axis(label="predicted time of one layer", show=lambda s: format_seconds(s) if s else "0")
    return scatter_svg(title, x, y, [line, *marks])


def _place(found: Evaluation) -> tuple[float, float]:
    return float(found.traffic.most), found.timeline.seconds


def _figures(found: Evaluation, one_device: OneDevice) -> tuple[str, ...]:
    gain = one_device.speedup(found)
    return (
        format_bytes(found.traffic.most),
        format_seconds(found.timeline.seconds),
        f"{gain:.2f}",
        f"{100 * gain / found.plan.mesh.world_size:.1f} %",
        format_bytes(found.memory.total),
        found.rendering.variant,
    )
