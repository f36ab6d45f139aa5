"""Consecutive numbers cut into runs of nearly one length."""

from __future__ import annotations


def even_ranges(count: int, parts: int) -> list[tuple[int, int]]:
    """Consecutive, as even as they can be, none of them empty: fewer than `parts` where there is less."""
    parts = min(parts, count)
    return [(i * count // parts, (i + 1) * count // parts) for i in range(parts)]
