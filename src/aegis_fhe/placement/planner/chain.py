"""Chains: every choice that no other beats in all three costs, by dynamic programming."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aegis_fhe.placement.planner.problem import Choice, Cost, Edge, Limits, Problem


@dataclass(frozen=True)
class _Path:
    """The options so far, last first, as a linked list: paths share their beginnings."""

    cost: Cost
    option: int
    before: _Path | None

    def options(self) -> tuple[int, ...]:
        found: list[int] = []
        path: _Path | None = self
        while path is not None:
            found.append(path.option)
            path = path.before
        return tuple(reversed(found))


def best_of_chain(problem: Problem, limits: Limits) -> list[Choice]:
    """The choices within the limits that no other one equals or beats in seconds, bytes and memory.

    Costs are not negative, so a path beyond a limit never comes back below it, and of two paths to the same
    option one that is nowhere worse stays nowhere worse: what is given up is never part of a best choice.
    """
    edges = {edge.consumer: edge for edge in problem.edges}
    paths: list[list[_Path]] = [[_Path(Cost(), 0, None)]]
    for index, operator in enumerate(problem.operators):
        edge = edges.get(index)
        paths = [
            _undominated(_extended(paths, edge, number, option.cost, limits, first=index == 0))
            for number, option in enumerate(operator.options)
        ]
    ends = _undominated(path for own in paths for path in own)
    return [Choice(options=path.options(), cost=path.cost) for path in ends]


def _extended(
    paths: list[list[_Path]], edge: Edge | None, number: int, cost: Cost, limits: Limits, *, first: bool
) -> Iterable[_Path]:
    for option, own in enumerate(paths):
        between = edge.between[option][number] if edge is not None else Cost()
        if between is None:
            continue
        for path in own:
            total = path.cost + between + cost
            if limits.allow(total):
                yield _Path(total, number, None if first else path)


def _undominated(paths: Iterable[_Path]) -> list[_Path]:
    """Of equals the first."""
    kept: list[_Path] = []
    for path in sorted(paths, key=lambda p: (p.cost.seconds, p.cost.bytes, p.cost.memory)):
        c = path.cost
        if not any(k.cost.bytes <= c.bytes and k.cost.memory <= c.memory for k in kept):
            kept.append(path)
    return kept
