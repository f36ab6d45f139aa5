"""Results as a table, and numbers with their units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

Cell = str | int | float


def results_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Table:
    """A table to print with rich: text left, numbers right; text is shown as it is, never read as markup.

    Floats get four significant digits; format those that need a unit with `format_bytes` or `format_seconds`.
    Raises `ValueError` when a row has another length than `columns`.
    """
    lines = [list(row) for row in rows]
    for line in lines:
        if len(line) != len(columns):
            raise ValueError(f"row {line} has {len(line)} cells for {len(columns)} columns")
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for number, name in enumerate(columns):
        numeric = bool(lines) and all(is_numeric(line[number]) for line in lines)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for line in lines:
        table.add_row(*(Text(format_cell(cell)) for cell in line))
    return table


def is_numeric(cell: Cell) -> bool:
    """Numbers, and text that starts with a digit or a sign before one ("3.1 GiB")."""
    return not isinstance(cell, str) or cell.lstrip("-+<")[:1].isdigit()


def format_cell(cell: Cell) -> str:
    """Text as it is, integers with thousands separators, floats with four significant digits."""
    if isinstance(cell, bool | str):
        return str(cell)
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.4g}"


def format_bytes(count: float) -> str:
    """Bytes in binary units: 0 B, 1.5 KiB, 96.0 MiB, 2.25 GiB."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.2f} GiB"


def format_seconds(seconds: float) -> str:
    """Durations as read: 0.35 ms, 12.3 ms, 4.21 s, 3 min 07 s, 2 h 05 min."""
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
