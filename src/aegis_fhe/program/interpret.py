"""Runs a program node by node on any backend; an error names the node, its operator and its inputs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import TypeVar

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.errors import AegisError
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.operators import Context, Input

V = TypeVar("V")

# Inputs that an error describes: a grid has hundreds.
DESCRIBED = 4


def run_node(node: Node, backend: Backend[V], values: MutableMapping[str, V], context: Context) -> None:
    """Computes one node and adds its values.

    Re-raises what is wrong with the node's name, level and scale.
    """
    if isinstance(node.operator, Input):
        if node.outputs[0] not in values:
            raise AegisError(f"node {node.name}: the input of token block {node.block} was not given")
        return
    inputs = [values[name] for name in node.inputs]
    try:
        outputs = node.operator.lower(backend, inputs, context)
    except AegisError as error:
        described = ", ".join(
            f"{name} (level {backend.level(x)}, scale 2^{math.log2(backend.scale(x)):.2f})"
            for name, x in zip(node.inputs[:DESCRIBED], inputs, strict=False)
        )
        if len(inputs) > DESCRIBED:
            described += f" and {len(inputs) - DESCRIBED} more"
        operator = type(node.operator).__name__
        raise type(error)(f"node {node.name} ({operator} of {described}): {error}") from error
    assert len(outputs) == len(node.outputs), node.name
    values.update(zip(node.outputs, outputs, strict=True))


def uses(nodes: Iterable[Node], kept: Iterable[str]) -> Counter[str]:
    """How often each value is used; kept ones once more."""
    counts = Counter(name for node in nodes for name in node.inputs)
    counts.update(kept)
    return counts


def release(node: Node, left: Counter[str], values: MutableMapping[str, V]) -> None:
    """Forgets the inputs of a node that nobody needs any more."""
    for name in node.inputs:
        left[name] -= 1
        if left[name] == 0:
            values.pop(name, None)


def run_graph(
    graph: Graph,
    backend: Backend[V],
    inputs: Mapping[str, V],
    context: Context,
    *,
    observe: Callable[[Node, Sequence[V]], None] | None = None,
    announce: Callable[[Node], None] = lambda node: None,
) -> dict[str, V]:
    """All results of a graph on one backend.

    announce: told every node before it is computed; observe: afterwards, with its values.
    """
    values: dict[str, V] = dict(inputs)
    left = uses(graph.nodes, graph.results)
    for node in graph.nodes:
        announce(node)
        run_node(node, backend, values, context)
        if observe is not None:
            observe(node, [values[name] for name in node.outputs])
        release(node, left, values)
    return {name: values[name] for name in graph.results}
