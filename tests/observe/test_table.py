"""Cells are shown as they are, numbers to the right, with units people read."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from aegis_fhe.observe.table import format_bytes, format_seconds, results_table


def test_table_aligns_numbers_and_reads_no_markup() -> None:
    table = results_table(
        "Result", ["what [x]", "value"], [["[red]cosine[/red]", 0.99991234], ["bytes", 1234567]]
    )
    Console(file=(text := io.StringIO()), width=60, color_system=None).print(table)
    lines = text.getvalue().splitlines()
    assert "[red]cosine[/red]" in text.getvalue()
    assert "what [x]" in text.getvalue()
    assert any(line.rstrip().endswith("0.9999") for line in lines)
    assert any(line.rstrip().endswith("1,234,567") for line in lines)
    assert [column.justify for column in table.columns] == ["left", "right"]


def test_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="3 cells for 2 columns"):
        results_table("t", ["a", "b"], [[1, 2, 3]])


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (96 << 20, "96.0 MiB"), (3 << 40, "3072.00 GiB")],
)
def test_bytes(count: int, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12.3 ms"), (4.2, "4.20 s"), (187, "3 min 07 s"), (7500, "2 h 05 min")]
)
def test_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
