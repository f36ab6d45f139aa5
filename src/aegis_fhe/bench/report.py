"""Rows for people: one line while the benchmark runs, a table at its end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from aegis_fhe.bench.result_rows import Row
from aegis_fhe.bench.timing import Quantiles
from aegis_fhe.observe.table import Cell, results_table

COLUMNS = ("ms", "min", "median", "90 %", "| min", "median", "90 %", "ratio")


def row_line(row: Row) -> str:
    """`rotate: 38.2 ms, OpenFHE 1.6 306 ms, ratio 8.01`."""
    ours = f"{row.operation}: {_number(row.ours_ms.median)} ms"
    if row.peer is None or row.peer_ms is None:
        return f"{ours}, no peer"
    return f"{ours}, {row.peer} {_number(row.peer_ms.median)} ms, ratio {row.ratio:.2f}"


def rows_table(title: str, rows: Sequence[Row]) -> Table:
    """Milliseconds, ours | the peer's, and the ratio of the medians; narrow, for 80 columns."""
    table = results_table(title, COLUMNS, [_cells(row) for row in rows])
    table.collapse_padding, table.pad_edge = True, False
    for column in table.columns:
        column.no_wrap = True
    return table


def peer_lines(rows: Sequence[Row]) -> list[str]:
    """For each peer, and for none, the operations that it is the peer of."""
    lines = []
    for name in dict.fromkeys(row.peer for row in rows):
        operations = ", ".join(row.operation for row in rows if row.peer == name)
        lines.append(f"{f'Peer {name}' if name else 'No peer'}: {operations}.")
    return lines


def _cells(row: Row) -> list[Cell]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return [row.operation, *_times(row.ours_ms), *_times(row.peer_ms), ratio]


def _times(times: Quantiles | None) -> list[str]:
    return ["", "", ""] if times is None else [_number(ms) for ms in (times.min, times.median, times.p90)]


def _number(ms: float) -> str:
    return f"{ms:.0f}" if 100 <= ms < 1e5 else f"{ms:.3g}"
