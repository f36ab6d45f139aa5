"""A network: operators in an order in which every value exists before it is used."""

from __future__ import annotations

import msgspec

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.network.operators import Linear, NetworkOperator

INPUT = "hidden"


class NetworkNode(msgspec.Struct, frozen=True, kw_only=True):
    """One operator. `name` is its value's; `path` the module that it was read from, for messages."""

    name: str
    operator: NetworkOperator
    inputs: tuple[str, ...]
    path: str = ""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """From hidden states `INPUT` [tokens, features] to `result`.

    Raises UnsupportedModuleError when a value is used before it exists or made twice.
    """

    features: int
    nodes: tuple[NetworkNode, ...]
    result: str

    def __post_init__(self) -> None:
        known = {INPUT}
        for node in self.nodes:
            missing = [name for name in node.inputs if name not in known]
            if missing:
                raise UnsupportedModuleError(f"{node.path or node.name}: uses {missing[0]} before it exists")
            if node.name in known:
                raise UnsupportedModuleError(f"{node.path or node.name}: makes {node.name} a second time")
            known.add(node.name)
        if self.result not in known:
            raise UnsupportedModuleError(f"the network never makes its result {self.result}")

    def producer(self, value: str) -> NetworkNode | None:
        """The node that makes a value; None for the input."""
        return next((node for node in self.nodes if node.name == value), None)

    def users(self, value: str) -> list[NetworkNode]:
        """The nodes that use a value."""
        return [node for node in self.nodes if value in node.inputs]

    def last_uses(self) -> dict[str, list[str]]:
        """For every node, the values that nothing after it uses; the result is never among them."""
        last = {name: node.name for node in self.nodes for name in node.inputs if name != self.result}
        expired: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for value, node in last.items():
            expired[node].append(value)
        return expired

    def linears(self) -> list[Linear]:
        """All linear layers."""
        return [node.operator for node in self.nodes if isinstance(node.operator, Linear)]
