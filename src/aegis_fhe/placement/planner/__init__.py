"""The choice among ways to compute each operator, exactly: along chains, or by an integer program."""

from aegis_fhe.placement.planner.problem import Choice, Cost, Edge, Limits, Operator, Option, Problem
from aegis_fhe.placement.planner.solve import front, solve

__all__ = ["Choice", "Cost", "Edge", "Limits", "Operator", "Option", "Problem", "front", "solve"]
