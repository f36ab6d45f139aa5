"""A network without what it computes twice, and without what its result does not need."""

from __future__ import annotations

from aegis_fhe.program.network.graph import Network, NetworkNode
from aegis_fhe.program.network.operators import NetworkOperator


def simplify(network: Network) -> Network:
    """The same function: equal operators on equal inputs become the first of them, unused ones go."""
    return _without_dead(_without_repeated(network))


def _without_repeated(network: Network) -> Network:
    names: dict[str, str] = {}
    first: dict[tuple[NetworkOperator, tuple[str, ...]], str] = {}
    kept: list[NetworkNode] = []
    for node in network.nodes:
        inputs = tuple(names.get(name, name) for name in node.inputs)
        names[node.name] = first.setdefault((node.operator, inputs), node.name)
        if names[node.name] == node.name:
            kept.append(NetworkNode(name=node.name, operator=node.operator, inputs=inputs, path=node.path))
    result = names.get(network.result, network.result)
    return Network(features=network.features, nodes=tuple(kept), result=result)


def _without_dead(network: Network) -> Network:
    needed, kept = {network.result}, []
    for node in reversed(network.nodes):
        if node.name in needed:
            needed.update(node.inputs)
            kept.append(node)
    return Network(features=network.features, nodes=tuple(reversed(kept)), result=network.result)
