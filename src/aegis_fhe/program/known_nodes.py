"""Symbolic runs in which operators that do the same to inputs of equal levels and scales run once.

Of an operator with a method `alike(context)` parts that differ in place alone do the same: it tells which.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, MutableMapping, Sequence
from itertools import groupby
from typing import Any, Generic, TypeVar

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.operators import Context, Operator

R = TypeVar("R")
# What the operator is alike in, its inputs as runs of equal ones, and which of them are one value, if any
# are: sums of rotations count their sources.
_Key = tuple[Hashable, tuple[tuple[Symbol, int], ...], tuple[int, ...]]


class KnownNodes(Generic[R]):
    """What nodes did, for one context: backend makes a new interpreter for each that is not known, of which
    `learned` keeps what is of use; it is given the node's values too. What inputs hold is their place.
    """

    def __init__(
        self, backend: Callable[[], SymbolicBackend], learned: Callable[[Any, Sequence[Symbol]], R]
    ) -> None:
        self._backend, self._learned = backend, learned
        self._known: dict[_Key, tuple[R, tuple[Symbol, ...]]] = {}
        self._alike: dict[Operator, Hashable] = {}

    def run(self, node: Node, values: MutableMapping[str, Symbol], context: Context) -> R:
        """What an interpreter learned that ran this operator, and nothing else; the node's values are added.

        Equal nodes share one object. Raises what the operator raises.
        """
        key = self._operation(node.operator, context), *_inputs(node, values)
        if key not in self._known:
            backend = self._backend()
            own = {name: values[name].copy() for name in node.inputs}
            for place, name in enumerate(node.inputs):
                own[name].held = place
            run_node(node, backend, own, context)
            made = [own[name] for name in node.outputs]
            self._known[key] = self._learned(backend, made), tuple(symbol.copy() for symbol in made)
        found, outputs = self._known[key]
        values.update(zip(node.outputs, outputs, strict=True))
        return found

    def _operation(self, operator: Operator, context: Context) -> Hashable:
        """All nodes are of one context."""
        if operator not in self._alike:
            alike = getattr(operator, "alike", None)
            self._alike[operator] = alike(context) if alike else operator
        return self._alike[operator]


def _inputs(
    node: Node, values: Mapping[str, Symbol]
) -> tuple[tuple[tuple[Symbol, int], ...], tuple[int, ...]]:
    return equal_runs(values[name] for name in node.inputs), _repeated(node.inputs)


def equal_runs(symbols: Iterable[Symbol]) -> tuple[tuple[Symbol, int], ...]:
    """Equal ones in a row once, with their number: of an operator's thousands of inputs few differ."""
    return tuple((symbol, len(list(run))) for symbol, run in groupby(symbols))


def _repeated(names: Sequence[str]) -> tuple[int, ...]:
    """Of each input the place of the first that is the same value; empty where all differ."""
    if len(set(names)) == len(names):
        return ()
    first: dict[str, int] = {}
    return tuple(first.setdefault(name, place) for place, name in enumerate(names))
