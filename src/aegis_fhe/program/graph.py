"""The encrypted program: nodes on token blocks, in an order in which every value exists before it is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.program.operators import Operator


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One operator on one token block. `stage` groups nodes for progress, exchanges and reports."""

    name: str
    operator: Operator
    block: int
    stage: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """Nodes in execution order. Values are named "what[block]"; the node of a value is its producer.

    Raises CompatibilityError when a value is used before it exists or made twice, or a result is never made.
    """

    nodes: tuple[Node, ...]
    results: tuple[str, ...]

    def __post_init__(self) -> None:
        known: set[str] = set()
        for node in self.nodes:
            missing = [value for value in node.inputs if value not in known]
            if missing:
                raise CompatibilityError(f"node {node.name} uses {', '.join(missing)} before it exists")
            twice = [value for value in node.outputs if value in known]
            if twice:
                raise CompatibilityError(f"node {node.name} makes {', '.join(twice)} a second time")
            known.update(node.outputs)
        absent = [value for value in self.results if value not in known]
        if absent:
            raise CompatibilityError(f"the program never makes its results {', '.join(absent)}")

    def stages(self) -> Iterator[tuple[str, list[Node]]]:
        """Consecutive nodes of one stage."""
        group: list[Node] = []
        for node in self.nodes:
            if group and group[-1].stage != node.stage:
                yield group[-1].stage, group
                group = []
            group.append(node)
        if group:
            yield group[-1].stage, group


class GraphBuilder:
    """Adds nodes with readable names, each after `prefix`; returns the names of their values."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.stage = ""
        self.prefix = ""

    def many(
        self, names: tuple[str, ...], operator: Operator, block: int, inputs: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """A node with several values."""
        outputs = tuple(f"{self.prefix}{name}[{block}]" for name in names)
        node = Node(
            name=outputs[0], operator=operator, block=block, stage=self.stage, inputs=inputs, outputs=outputs
        )
        self.nodes.append(node)
        return outputs

    def one(self, name: str, operator: Operator, block: int, *inputs: str) -> str:
        """A node with one value."""
        return self.many((name,), operator, block, inputs)[0]

    def build(self, results: tuple[str, ...]) -> Graph:
        """The finished graph."""
        return Graph(tuple(self.nodes), results)
