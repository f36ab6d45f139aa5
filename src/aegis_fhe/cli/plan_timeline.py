"""What `aegis plan --timeline` prints."""

from __future__ import annotations

from rich.console import Console

from aegis_fhe.observe.table import results_table
from aegis_fhe.placement.ablation import DESCRIPTIONS, Ablation
from aegis_fhe.placement.evaluate import STAGES, in_stage
from aegis_fhe.placement.timeline import Timeline


def print_timeline(name: str, found: Ablation, console: Console) -> None:
    """A row for each way to hide exchanges that the plan has, with that one switched off."""
    rows = [_row("nothing", found.planned, found.planned)]
    rows += [_row(switched, timeline, found.planned) for switched, timeline in found.without.items()]
    columns = ("without", "seconds", "slower", "waiting", *STAGES)
    title = f"{name} without one way to hide exchanges at a time; waiting: of the last device, in ms"
    console.print(results_table(title, columns, rows))
    for switched in found.without:
        console.print(f"{switched}: {DESCRIPTIONS[switched]}.")


def _row(name: str, timeline: Timeline, planned: Timeline) -> tuple[str, ...]:
    waits = [in_stage(timeline.exposed, stage) for stage in STAGES]
    slower = timeline.seconds / planned.seconds - 1
    shown = [f"{1e3 * seconds:.1f}" for seconds in (sum(timeline.exposed.values()), *waits)]
    return (name, f"{timeline.seconds:.4g}", f"{100 * slower:.2f} %", *shown)
