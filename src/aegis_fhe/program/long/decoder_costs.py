"""What each layer of a decoder costs: layers that differ in numbers alone are counted once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.program.known_nodes import KnownNodes
from aegis_fhe.program.long.compile import LongProgram
from aegis_fhe.program.long.context import GridContext
from aegis_fhe.program.long.counts import count_stages, symbolic_nodes, total_of
from aegis_fhe.program.long.shape_program import Ones


@dataclass(frozen=True)
class LayerCost:
    """Operations of a layer by stage, its bootstraps under `counts.REFRESH`, and its results in order."""

    stages: Mapping[str, OperationCounts]
    results: tuple[Symbol, ...]

    @property
    def total(self) -> OperationCounts:
        """Of all stages."""
        return total_of(self.stages.values())


def layer_costs(layers: Iterable[LongProgram]) -> list[LayerCost]:
    """Of each layer by itself, on inputs at its input level and the nominal scale. Raises as a run would.

    The layers are of one program: their bootstrap and their numbers of tokens are the same.
    """
    known: dict[str, LayerCost] = {}
    nodes: KnownNodes[OperationCounts] | None = None
    found = []
    for layer in layers:
        signature = _signature(layer)
        if signature not in known:
            assert layer.bootstrap is not None, "a layer of a decoder is refreshed"
            nodes = symbolic_nodes(layer.bootstrap) if nodes is None else nodes
            known[signature] = _cost(layer, layer.bootstrap, nodes)
        found.append(known[signature])
    return found


def _cost(layer: LongProgram, bootstrap: BootstrapPlan, nodes: KnownNodes[OperationCounts]) -> LayerCost:
    context = GridContext(
        constants=Ones(),
        scale=layer.params.scale,
        tokens=layer.max_tokens,
        bootstrap=bootstrap,
        public_tokens=layer.public_tokens,
    )
    stages, results = count_stages(layer.graph, bootstrap, context, nodes)
    return LayerCost(stages, tuple(results))


def _signature(layer: LongProgram) -> str:
    """The graph with every number that is no count replaced by whether it is zero: it alone cannot matter."""
    return json.dumps(_without_numbers(msgspec.to_builtins(layer.graph.nodes)))


def _without_numbers(value: Any) -> Any:
    if isinstance(value, float):
        return value != 0.0
    if isinstance(value, dict):
        return {name: _without_numbers(child) for name, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_numbers(child) for child in value]
    return value
