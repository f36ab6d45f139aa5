"""Symbolic runs in which equal operators on inputs of equal levels and scales run once."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import Generic, TypeVar

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.operators import Context, Operator

B = TypeVar("B", bound=SymbolicBackend)
# The operator, its inputs, and which of them are one value: sums of rotations count their sources.
_Key = tuple[Operator, tuple[Symbol, ...], tuple[int, ...]]


class KnownNodes(Generic[B]):
    """What nodes did, for one context: backend makes a new interpreter for each that is not known."""

    def __init__(self, backend: Callable[[], B]) -> None:
        self._backend = backend
        self._known: dict[_Key, tuple[B, tuple[Symbol, ...]]] = {}

    def run(self, node: Node, values: MutableMapping[str, Symbol], context: Context) -> B:
        """The interpreter that has run this operator, and nothing else; the node's values are added.

        Raises what the operator raises.
        """
        inputs = tuple(values[name] for name in node.inputs)
        key = node.operator, inputs, tuple(node.inputs.index(name) for name in node.inputs)
        if key not in self._known:
            backend = self._backend()
            own = {name: replace(values[name]) for name in node.inputs}
            run_node(node, backend, own, context)
            self._known[key] = backend, tuple(own[name] for name in node.outputs)
        backend, outputs = self._known[key]
        values.update(zip(node.outputs, outputs, strict=True))
        return backend
