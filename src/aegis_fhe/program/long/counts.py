"""What a layer costs, from its shape alone: no weights, no keys, no data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks.key_request import KeyRequest
from aegis_fhe.ckks.key_shape import half_bytes, parameters_of
from aegis_fhe.errors import LevelError
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.interpret import release, uses
from aegis_fhe.program.known_nodes import KnownNodes
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.levels import RefreshPlan
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.long.shape import Degrees, LayerRanges, LayerShape
from aegis_fhe.program.long.shape_program import ShapeProgram
from aegis_fhe.program.operators import Context, Input, Refresh

REFRESH = "refresh"


@dataclass(frozen=True, kw_only=True)
class LayerCounts:
    """Operations of one layer by stage; "refresh" is what the bootstraps do inside.

    encoded_weight_bytes: 2S coefficients of 8 bytes for each different plaintext of the linear layers, before
    they are transformed; those no feature reaches are not there. key_bytes: of all evaluation keys as they
    are stored, one half of each from a seed, at the highest level that uses it; bootstraps' included.
    """

    layout: GridLayout
    refreshes: RefreshPlan
    stages: Mapping[str, OperationCounts]
    encoded_weight_bytes: int
    key_requests: tuple[KeyRequest, ...]
    key_bytes: int

    @property
    def bootstraps(self) -> int:
        """Bootstraps, two real ciphertexts in each where there are two."""
        return int(self.stages[REFRESH].total("bootstrap")) if REFRESH in self.stages else 0

    @property
    def rotations(self) -> int:
        """Outside bootstraps, hoisted or accumulated."""
        return self._total("rotation") + self._total("accumulated rotation")

    @property
    def products(self) -> int:
        """Of two ciphertexts, outside bootstraps."""
        return self._total("product")

    @property
    def relinearisations(self) -> int:
        """Outside bootstraps, where nothing else switches keys."""
        return self._total("key switch")

    @property
    def plain_products(self) -> int:
        """With plaintexts, outside bootstraps."""
        return self._total("plain product")

    def _total(self, operation: str) -> int:
        return int(sum(c.total(operation) for name, c in self.stages.items() if name != REFRESH))


def count_layer(
    shape: LayerShape,
    bootstrap: BootstrapPlan,
    *,
    tokens: int,
    ranges: LayerRanges | None = None,
    degrees: Degrees | None = None,
    most_scores: int | None = None,
    known: KnownNodes[OperationCounts] | None = None,
) -> LayerCounts:
    """One layer, which all like it repeat. Raises LevelError when no choice of bootstraps carries it.

    ranges: by default any with as many rounds as the degrees, on which no count rests. most_scores: that stay
    resident between rounds of normalise-and-square (`LayerPlan`). known: what nodes cost that were counted
    before, for as many tokens and with the same bootstrap; new ones are added.
    """
    program = ShapeProgram.of(
        shape, bootstrap, tokens=tokens, degrees=degrees, ranges=ranges, most_scores=most_scores
    )
    plan, refreshes, graph = program.plan, program.refreshes, program.graph
    nodes = symbolic_nodes(bootstrap) if known is None else known
    stages, results = count_stages(graph, bootstrap, program.context, nodes)
    lowest = min(result.level for result in results)
    if lowest < refreshes.start:
        raise LevelError(f"the layer begins at level {refreshes.start} and ends at level {lowest}")
    matrices = {node.operator for node in graph.nodes if isinstance(node.operator, MatrixProduct)}
    requests = tuple(total_of(stages.values()).key_requests())
    return LayerCounts(
        layout=plan.layout,
        refreshes=refreshes,
        stages=stages,
        encoded_weight_bytes=sum(m.plaintexts() for m in matrices) * 2 * plan.layout.sub_slots * 8,
        key_requests=requests,
        key_bytes=_key_bytes(requests, bootstrap),
    )


def count_keys(layers: Iterable[LayerCounts], bootstrap: BootstrapPlan) -> tuple[int, int]:
    """(number, bytes) of the evaluation keys of several layers, each at the highest level that uses it."""
    total = total_of(counts for layer in layers for counts in layer.stages.values())
    requests = total.key_requests()
    return len(requests), _key_bytes(requests, bootstrap)


def symbolic_nodes(bootstrap: BootstrapPlan) -> KnownNodes[OperationCounts]:
    """For counts on the parameters of a bootstrap; nothing is known yet."""
    return KnownNodes(
        partial(SymbolicBackend, bootstrap.params.q, bootstrap.params.slots),
        lambda backend, outputs: backend.counts,
    )


def count_stages(
    graph: Graph, bootstrap: BootstrapPlan, context: Context, known: KnownNodes[OperationCounts]
) -> tuple[dict[str, OperationCounts], list[Symbol]]:
    """Operations of each stage, and the results. known: as `count_layer`.

    No operator is run again on inputs of the same levels and scales, and no bootstrap for every pair: their
    counts are added as often as they occur.
    """
    params = bootstrap.params
    values: dict[str, Symbol] = {}
    stages: dict[str, OperationCounts] = {}
    refreshes, left = 0, uses(graph.nodes, graph.results)
    for node in graph.nodes:
        if isinstance(node.operator, Input):
            values[node.outputs[0]] = Symbol(node.operator.level, params.scale)
        elif isinstance(node.operator, Refresh):
            _refresh(node, bootstrap, values)
            refreshes += 1
        else:
            counts = known.run(node, values, context)
            _include(stages.setdefault(node.stage, OperationCounts()), counts)
        release(node, left, values)
    if refreshes:
        _include(stages.setdefault(REFRESH, OperationCounts()), bootstrap.counts, refreshes)
    return stages, [values[name] for name in graph.results]


def _refresh(node: Node, bootstrap: BootstrapPlan, values: dict[str, Symbol]) -> None:
    for name in node.inputs:
        if values[name].level < bootstrap.input_level:
            raise LevelError(
                f"node {node.name}: {name} is at level {values[name].level}, a bootstrap begins at level "
                f"{bootstrap.input_level}: refresh it earlier"
            )
    for name in node.outputs:
        values[name] = Symbol(bootstrap.output_level, bootstrap.params.scale)


def _include(total: OperationCounts, counts: OperationCounts, times: int = 1) -> None:
    for (operation, level), count in counts.by_level.items():
        total.add(operation, level, count * times)
    for step, level in counts.keys.items():
        total.need(step, level)


def _key_bytes(requests: Iterable[KeyRequest], bootstrap: BootstrapPlan) -> int:
    return sum(half_bytes(parameters_of(bootstrap.params, key), key.level) for key in requests)


def total_of(parts: Iterable[OperationCounts]) -> OperationCounts:
    """All operations together, and every key at the highest level that any part asks for."""
    total = OperationCounts()
    for counts in parts:
        _include(total, counts)
    return total
