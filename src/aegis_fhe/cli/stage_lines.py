"""Seconds of stages, predicted beside measured, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from aegis_fhe.observe.table import format_seconds, results_table

PARTS = {"computing": "computed", "waiting": "waited", "exchanging": "limbs"}


def stage_table(comparison: Mapping[str, Any], title: str) -> Table:
    """Three rows for each stage, the last with what makes most of the difference.

    comparison: of `bench.stage_comparison.comparison_facts`.
    """
    columns = ("stage, predicted", *PARTS.values(), "all", "mostly")
    rows = (row for name, one in comparison["stages"].items() for row in _rows(name, one))
    return results_table(title, columns, rows)


def stage_note(comparison: Mapping[str, Any]) -> str:
    """What the columns are, and whether the difference means anything."""
    machine, threads = comparison["machine"], comparison["threads"]
    other = machine["threads"] not in (None, threads)
    had = f" Measured with {machine['threads']} thread(s), it had {threads}." if other else ""
    projected = (
        ": a projection. The difference is that between two machines, and says nothing of the prediction; "
        "aegis calibrate --kernels and --link measure this one."
    )
    return (
        "Waited: for values and links, between nodes; limbs: their exchanges, inside nodes. Its process had "
        f"{format_seconds(comparison['processor_seconds'])} of processors in "
        f"{format_seconds(comparison['run_seconds'])}, all threads together. Predicted for "
        f"{machine['device']} ({machine['device_provenance']}) on {machine['link']}"
        f"{' (measured)' if machine['link_measured'] else ' (not measured)'}"
        f"{'.' if machine['measured'] else projected}{had}"
    )


def _rows(name: str, one: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    rows = (
        (name, "predicted", ""),
        ("  measured", "measured", ""),
        ("  difference", "difference", _mostly(one)),
    )
    for label, which, mostly in rows:
        show = _signed if which == "difference" else format_seconds
        yield (label, *(show(one[which][key]) for key in (*PARTS, "total")), mostly)


def _mostly(one: Mapping[str, Any]) -> str:
    """What makes most of the difference, and how much of it."""
    part, whole = one["explained_by"], one["difference"]["total"]
    return f"{PARTS[part]} {100 * one['difference'][part] / whole:.0f}%" if whole else "as predicted"


def _signed(seconds: float) -> str:
    return f"{'-' if seconds < 0 else '+'}{format_seconds(abs(seconds))}"
