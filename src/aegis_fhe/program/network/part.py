"""A stretch of a network as a network of its own."""

from __future__ import annotations

import msgspec

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.network.graph import INPUT, Network


def part_of(network: Network, source: str, result: str) -> Network:
    """From the value `source` [tokens, features], now the input, to `result`; nothing else may enter.

    Raises UnsupportedModuleError when the stretch uses a value from before `source`.
    """
    names = [INPUT, *(node.name for node in network.nodes)]
    first, last = names.index(source), names.index(result)
    for node in network.nodes[first:last]:
        if source != INPUT and INPUT in node.inputs:  # the new input will bear this name
            raise UnsupportedModuleError(f"{node.path or node.name}: uses {INPUT} besides {source}")
    nodes = tuple(
        msgspec.structs.replace(node, inputs=tuple(INPUT if name == source else name for name in node.inputs))
        for node in network.nodes[first:last]
    )
    return Network(features=network.features, nodes=nodes, result=INPUT if result == source else result)
