"""The best plan, and the whole front between bytes and seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aegis_fhe.errors import CapacityError
from aegis_fhe.placement.planner.chain import best_of_chain
from aegis_fhe.placement.planner.problem import Choice, Limits, Problem, nothing_fits

if TYPE_CHECKING:
    from aegis_fhe.placement.planner.integer import Objective

# The next point of a front has fewer bytes by this much, relative: nearer ones the solver cannot tell apart.
_STEP = 2e-6


def solve(problem: Problem, objective: Objective = "seconds", limits: Limits | None = None) -> Choice:
    """The least seconds (or bytes) within the limits; of equals the fewest bytes (or seconds).

    Raises CapacityError when nothing fits.
    """
    within = Limits() if limits is None else limits
    other: Objective = "bytes" if objective == "seconds" else "seconds"
    if problem.is_chain:
        found = best_of_chain(problem, within)
        if not found:
            raise nothing_fits(within)
        return min(found, key=lambda choice: (getattr(choice.cost, objective), getattr(choice.cost, other)))
    # Not before it is needed: scipy takes longer to load than a chain to solve.
    from aegis_fhe.placement.planner.integer import IntegerProgram

    program = IntegerProgram(problem)
    best = program.least(objective, within)
    bound = getattr(best.cost, objective) * (1 + 1e-12)
    again = program.least(other, replace(within, **{objective: min(bound, getattr(within, objective))}))
    return min(best, again, key=lambda choice: (getattr(choice.cost, objective), getattr(choice.cost, other)))


def front(problem: Problem, limits: Limits | None = None, most: int | None = None) -> list[Choice]:
    """The choices that no other one beats in both seconds and bytes, from the fastest on.

    most: at least 2; no more points than this, about evenly spaced in log bytes, always with both ends.
    """
    within = Limits() if limits is None else limits
    if most is not None:
        return _spaced(problem, within, most)
    found: list[Choice] = []
    if problem.is_chain:
        for choice in sorted(best_of_chain(problem, within), key=lambda c: (c.cost.seconds, c.cost.bytes)):
            if not found or choice.cost.bytes < found[-1].cost.bytes:
                found.append(choice)
        return found
    while True:
        try:
            found.append(solve(problem, "seconds", within))
        except CapacityError:
            return found
        within = replace(within, bytes=found[-1].cost.bytes * (1 - _STEP))
        if found[-1].cost.bytes == 0:
            return found


def _spaced(problem: Problem, within: Limits, most: int) -> list[Choice]:
    """Each point is the fastest with fewer bytes than the one before it by the same factor at least."""
    try:
        least, found = solve(problem, "bytes", within), [solve(problem, "seconds", within)]
    except CapacityError:
        return []
    low, high = (max(1.0, choice.cost.bytes) for choice in (least, found[0]))
    factor = min((low / high) ** (1 / (most - 1)), 1 - _STEP)
    while found[-1].cost.bytes > least.cost.bytes:
        bound = found[-1].cost.bytes * factor
        if bound > low * (1 + _STEP):
            found.append(solve(problem, "seconds", replace(within, bytes=bound)))
        else:
            found.append(least)
    return found
