"""Graphs that branch: an integer linear program for HiGHS.

Binary x_{o,k} for operator o in option k, and for every edge and pair of options y_{k,l} >= 0 with sum_l
y_{k,l} = x_k and sum_k y_{k,l} = x_l: where the x are 0 or 1, so are the y, and y_{k,l} = x_k x_l.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from aegis_fhe.placement.planner.problem import Choice, Cost, Limits, Problem, nothing_fits

Objective = Literal["seconds", "bytes"]
_NAMES: tuple[Literal["seconds", "bytes", "memory"], ...] = ("seconds", "bytes", "memory")


class IntegerProgram:
    """The variables of one problem; `least` may be called with any objective and limits."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.first: list[int] = []
        costs: list[Cost] = []
        for operator in problem.operators:
            self.first.append(len(costs))
            costs += [option.cost for option in operator.options]
        self.choices = len(costs)
        rows: list[tuple[list[int], list[int]]] = []  # (plus, minus): their difference is zero
        upper = [1.0] * self.choices
        for edge in problem.edges:
            start, shape = len(costs), (len(edge.between), len(edge.between[0]))
            flat = [one for row in edge.between for one in row]
            costs += [Cost() if one is None else one for one in flat]
            upper += [0.0 if one is None else 1.0 for one in flat]
            table = np.arange(start, start + len(flat)).reshape(shape)
            rows += [([*map(int, table[k])], [self.first[edge.producer] + k]) for k in range(shape[0])]
            rows += [([*map(int, table[:, j])], [self.first[edge.consumer] + j]) for j in range(shape[1])]
        self.upper, self.rows = np.array(upper), rows
        self.costs = {name: np.array([getattr(cost, name) for cost in costs]) for name in _NAMES}

    def least(self, objective: Objective, limits: Limits) -> Choice:
        """A choice of the least seconds or bytes within the limits. Raises CapacityError when there is none.

        The solver takes a limit for kept that is exceeded by some 1e-6 of it; such a choice is cut off, by
        itself, and the rest searched again.
        """
        excluded: list[LinearConstraint] = []
        while True:
            options = self._solved(objective, limits, excluded)
            cost = self.problem.cost(options)
            assert cost is not None
            if limits.allow(cost):
                return Choice(options=options, cost=cost)
            excluded.append(self._all_but(options))

    def _solved(
        self, objective: Objective, limits: Limits, excluded: Sequence[LinearConstraint]
    ) -> tuple[int, ...]:
        integral = np.zeros(len(self.upper))
        integral[: self.choices] = 1
        weights = self.costs[objective]
        solution = milp(
            weights / (weights.max(initial=0.0) or 1.0),
            integrality=integral,
            bounds=Bounds(0, self.upper),
            constraints=[*self._structure(), *self._limits(limits), *excluded],
            options={"mip_rel_gap": 0.0},
        )
        if solution.x is None:
            raise nothing_fits(limits)
        return tuple(
            int(np.argmax(solution.x[first : first + len(operator.options)]))
            for first, operator in zip(self.first, self.problem.operators, strict=True)
        )

    def _all_but(self, options: Sequence[int]) -> LinearConstraint:
        """Some operator takes another option."""
        row = np.zeros((1, len(self.upper)))
        row[0, [first + k for first, k in zip(self.first, options, strict=True)]] = 1.0
        return LinearConstraint(row, -np.inf, len(options) - 1)

    def _structure(self) -> list[LinearConstraint]:
        """One option for each operator, and what ties pairs to their options."""
        entries: list[tuple[int, int, float]] = []
        for row, (first, operator) in enumerate(zip(self.first, self.problem.operators, strict=True)):
            entries += [(row, first + k, 1.0) for k in range(len(operator.options))]
        count = len(self.problem.operators)
        for row, (plus, minus) in enumerate(self.rows):
            entries += [(count + row, column, 1.0) for column in plus]
            entries += [(count + row, column, -1.0) for column in minus]
        right = np.array([1.0] * count + [0.0] * len(self.rows))
        return [LinearConstraint(self._matrix(entries, len(right)), right, right)]

    def _limits(self, limits: Limits) -> list[LinearConstraint]:
        found = []
        for name in _NAMES:
            limit = getattr(limits, name)
            if limit < math.inf:
                unit = max(limit, float(self.costs[name].max(initial=0.0))) or 1.0
                found.append(LinearConstraint(self.costs[name][None] / unit, -np.inf, limit / unit))
        return found

    def _matrix(self, entries: list[tuple[int, int, float]], rows: int) -> coo_array:
        i, j, values = zip(*entries, strict=True)
        return coo_array((values, (i, j)), shape=(rows, len(self.upper)))
