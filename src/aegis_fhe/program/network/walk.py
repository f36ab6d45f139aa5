"""Reading a network backwards: from a value to what made it, with a clear word where it is something else."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.network.graph import Network, NetworkNode
from aegis_fhe.program.network.operators import Add, Array, Weights

Kind = TypeVar("Kind")


class NetworkWalk:
    """A network's nodes by the value that they make, and its weights."""

    def __init__(self, network: Network, weights: Weights) -> None:
        self.producers = {node.name: node for node in network.nodes}
        self.weights = weights

    def made_by(self, value: str, kind: type | tuple[type, ...]) -> bool:
        """Whether a node with such an operator made it; no node made the input."""
        return value in self.producers and isinstance(self.producers[value].operator, kind)

    def expect(self, value: str, kind: type[Kind], role: str) -> tuple[Kind, NetworkNode]:
        """The node that made a value. Raises UnsupportedModuleError when its operator is another."""
        node = self.producers.get(value)
        if node is None or not isinstance(node.operator, kind):
            found = "the input" if node is None else type(node.operator).__name__
            where = value if node is None else node.path or node.name
            raise UnsupportedModuleError(f"{where}: {role} must be {kind.__name__}, found {found}")
        return node.operator, node

    def branches(self, total: str, kind: type, role: str) -> tuple[str, str]:
        """(residual, branch made by `kind`) of a sum. Raises UnsupportedModuleError."""
        _, node = self.expect(total, Add, role)
        first, second = node.inputs
        made = [self.made_by(name, kind) for name in node.inputs]
        if made[0] == made[1]:
            raise UnsupportedModuleError(f"{node.path}: expected x + {kind.__name__}(...)")
        return (second, first) if made[0] else (first, second)

    def vector(self, name: str | None, size: int, default: float) -> Array:
        """A weight [size], or the default where there is none."""
        return np.full(size, default) if name is None else self.weights[name]
