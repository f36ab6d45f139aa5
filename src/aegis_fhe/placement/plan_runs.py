"""What each of a list of nodes has, written once for consecutive nodes that have the same.

(first, count, value): the node of that name and those that follow it in the graph. So the names that a graph
does not have, and the nodes that a file leaves out, are found when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from aegis_fhe.errors import CompatibilityError

V = TypeVar("V")


def to_runs(pairs: Iterable[tuple[str, V]]) -> list[tuple[str, int, V]]:
    """pairs: (name, value) of all nodes, in the graph's order."""
    found: list[tuple[str, int, V]] = []
    for name, value in pairs:
        if found and found[-1][2] == value:
            first, count, _ = found[-1]
            found[-1] = first, count + 1, value
        else:
            found.append((name, 1, value))
    return found


def from_runs(runs: Iterable[tuple[str, int, V]], names: Sequence[str], what: str) -> list[tuple[str, V]]:
    """names: of all nodes, in the graph's order.

    Raises CompatibilityError for a run that does not begin where the one before it ended, for nodes that no
    run has and for runs that have more nodes than there are; what: the runs are.
    """
    found: list[tuple[str, V]] = []
    for first, count, value in runs:
        left = names[len(found) :]
        if not left or left[0] != first:
            expected = f"node {left[0]}" if left else "the end"
            known = "" if first in names else ", which this program does not have"
            raise CompatibilityError(f"{what} go on with node {first}{known}, not with {expected}")
        if count > len(left):
            raise CompatibilityError(f"{what} have {count} nodes from {first} on, the program {len(left)}")
        found += [(name, value) for name in left[:count]]
    if len(found) < len(names):
        raise CompatibilityError(
            f"{what} end before node {names[len(found)]}: {len(names) - len(found)} nodes of {len(names)} "
            "are missing"
        )
    return found
