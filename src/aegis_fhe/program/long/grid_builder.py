"""Nodes on grids: an operator on every token block, and refreshes where they were chosen."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_fhe.program.graph import GraphBuilder
from aegis_fhe.program.operators import Operator, Refresh

# One ciphertext name for each column.
Column = tuple[str, ...]
Grid = Sequence[Column]


class GridBuilder(GraphBuilder):
    """refreshed: names of the cuts and side branches (`steps`) that bootstrap."""

    def __init__(self, refreshed: frozenset[str]) -> None:
        super().__init__()
        self.refreshed = refreshed

    def cut(self, name: str, x: Grid, label: str | None = None, factor: float = 1.0) -> Grid:
        """The same grid; refreshed if that was chosen, neighbours in one bootstrap, and `factor` times it."""
        if name not in self.refreshed:
            return x
        before, self.stage = self.stage, "refresh"
        flat = [value for grid in x for value in grid]
        fresh: list[str] = []
        for first in range(0, len(flat), 2):
            pair = tuple(flat[first : first + 2])
            names = tuple(f"{label or name}.fresh.{first + i}" for i in range(len(pair)))
            fresh += self.many(names, Refresh(factor), 0, pair)
        self.stage = before
        found = iter(fresh)
        return [tuple(next(found) for _ in grid) for grid in x]

    def each(self, name: str, operator: Operator, x: Grid, columns: int) -> Grid:
        """The operator on every token block."""
        return [self.columns(name, operator, p, grid, columns) for p, grid in enumerate(x)]

    def columns(self, name: str, operator: Operator, p: int, x: Column, columns: int) -> Column:
        """The operator on one token block, with so many results."""
        return self.many(tuple(f"{name}.{a}" for a in range(columns)), operator, p, x)


def joined(x: Grid, y: Grid) -> Grid:
    """The columns of both, block by block."""
    return [(*a, *b) for a, b in zip(x, y, strict=True)]
