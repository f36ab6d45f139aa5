"""A network in float64, node by node: the reference, and what calibration watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aegis_fhe.program.network.graph import INPUT, Network, NetworkNode
from aegis_fhe.program.network.operators import Array, Weights

Observer = Callable[[NetworkNode, Sequence[Array], Array], None]


def evaluate(network: Network, weights: Weights, hidden: Array, *, observe: Observer | None = None) -> Array:
    """The result for hidden states [tokens, features]. `observe` sees each node, its inputs and its value."""
    values: dict[str, Array] = {INPUT: hidden}
    expired = network.last_uses()
    for node in network.nodes:
        inputs = [values[name] for name in node.inputs]
        values[node.name] = node.operator.evaluate(inputs, weights)
        if observe is not None:
            observe(node, inputs, values[node.name])
        for name in expired[node.name]:
            del values[name]
    return values[network.result]
