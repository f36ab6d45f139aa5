"""What a planner decides: one option for each operator, when neighbours' options may cost something together.

All three costs add up over operators and edges: seconds and bytes of the busiest device, resident memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from aegis_fhe.errors import CapacityError, ParameterError


@dataclass(frozen=True, kw_only=True)
class Cost:
    """seconds; bytes received from other devices; memory: resident bytes of a device. None is negative."""

    seconds: float = 0.0
    bytes: float = 0.0
    memory: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(x) and x >= 0 for x in (self.seconds, self.bytes, self.memory)):
            raise ParameterError(f"{self}: costs are finite and not negative")

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            seconds=self.seconds + other.seconds,
            bytes=self.bytes + other.bytes,
            memory=self.memory + other.memory,
        )


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way to compute an operator."""

    name: str
    cost: Cost


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Its ways, at least one, with different names."""

    name: str
    options: tuple[Option, ...]


@dataclass(frozen=True, kw_only=True)
class Edge:
    """between[i][j]: what it costs to bring the result of the producer's option i to the consumer's j.

    None where the two cannot follow each other.
    """

    producer: int
    consumer: int
    between: tuple[tuple[Cost | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a plan may take at most."""

    seconds: float = math.inf
    bytes: float = math.inf
    memory: float = math.inf

    def allow(self, cost: Cost) -> bool:
        """Whether a cost is within all of them."""
        return cost.seconds <= self.seconds and cost.bytes <= self.bytes and cost.memory <= self.memory


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An option for each operator, by its number, and what they cost together."""

    options: tuple[int, ...]
    cost: Cost


@dataclass(frozen=True)
class Problem:
    """Operators in an order in which every producer comes before its consumers.

    Raises ParameterError for an edge that does not fit.
    """

    operators: tuple[Operator, ...]
    edges: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        for operator in self.operators:
            names = [option.name for option in operator.options]
            if not names or len(set(names)) != len(names):
                raise ParameterError(f"operator {operator.name} has options {names}: they must differ")
        seen: set[tuple[int, int]] = set()
        for edge in self.edges:
            if not 0 <= edge.producer < edge.consumer < len(self.operators):
                raise ParameterError(f"the edge {edge.producer} to {edge.consumer} leads nowhere")
            if (edge.producer, edge.consumer) in seen:
                raise ParameterError(f"two edges {edge.producer} to {edge.consumer}: add them up")
            seen.add((edge.producer, edge.consumer))
            rows, columns = (len(self.operators[i].options) for i in (edge.producer, edge.consumer))
            if len(edge.between) != rows or any(len(row) != columns for row in edge.between):
                raise ParameterError(f"the edge {edge.producer} to {edge.consumer} is not {rows} x {columns}")

    @cached_property
    def is_chain(self) -> bool:
        """Whether every operator follows the one before it and no other."""
        pairs = [(edge.producer, edge.consumer) for edge in self.edges]
        return all(consumer == producer + 1 for producer, consumer in pairs)

    def cost(self, options: Iterable[int]) -> Cost | None:
        """Of a choice; None where two neighbours cannot follow each other."""
        chosen = tuple(options)
        total = Cost()
        for operator, option in zip(self.operators, chosen, strict=True):
            total = total + operator.options[option].cost
        for edge in self.edges:
            between = edge.between[chosen[edge.producer]][chosen[edge.consumer]]
            if between is None:
                return None
            total = total + between
        return total

    def names(self, choice: Choice) -> Mapping[str, str]:
        """The option's name of each operator."""
        pairs = zip(self.operators, choice.options, strict=True)
        return {operator.name: operator.options[option].name for operator, option in pairs}


def nothing_fits(limits: Limits) -> CapacityError:
    """No choice is within the limits."""
    asked = ", ".join(
        f"{getattr(limits, name):.6g} {unit}"
        for name, unit in (("seconds", "seconds"), ("bytes", "bytes received"), ("memory", "bytes of memory"))
        if getattr(limits, name) < math.inf
    )
    return CapacityError(f"no plan fits within {asked or 'what its operators can follow'}")
