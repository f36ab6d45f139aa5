"""About the least that a packing can take on a mesh, without looking at ways: which of them are worth it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.choose.runs import Run, runs_of
from aegis_fhe.placement.cost import RESIDUE_BYTES, Network, row_messages
from aegis_fhe.placement.facts import GraphFacts, NodeFacts
from aegis_fhe.placement.limb_traffic import exchanges_of_operation
from aegis_fhe.placement.limbs import LimbPlacement, rows_received
from aegis_fhe.placement.node_seconds import ComputeSeconds
from aegis_fhe.placement.planner import Cost
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.operators import Each, Operator


@dataclass
class Bounds:
    """On groups that share limbs so. facts: of the undivided graph, whole on one device."""

    params: Parameters
    limbs: LimbPlacement
    computing: ComputeSeconds
    network: Network

    def __post_init__(self) -> None:
        self._known: dict[tuple[str, int], Cost] = {}

    def of(self, graph: Graph, facts: GraphFacts, groups: int) -> dict[str, Cost]:
        """By run; in as many equal pieces as it has, dealt to the groups; nothing moves between them.

        Seconds: of computing and of exchanges of limbs; bytes: of those exchanges, on the device that
        receives most.
        """
        return {run.name: self._run(run, facts, groups) for run in runs_of(graph)}

    def _run(self, run: Run, facts: GraphFacts, groups: int) -> Cost:
        seconds = moved = 0.0
        for nodes in _alike(run):
            costs = [self._node(facts.nodes[node.name]) for node in nodes]
            share = _share(nodes, groups)
            seconds += share * sum(cost.seconds for cost in costs)
            moved += sum(cost.bytes for cost in costs) / groups
        return Cost(seconds=seconds, bytes=moved)

    def _node(self, facts: NodeFacts) -> Cost:
        exchanged = self._exchanged(facts.counts.by_level) if self.limbs.world_size > 1 else Cost()
        return exchanged + Cost(seconds=self.computing(facts))

    def _exchanged(self, counts: Mapping[tuple[str, int], float]) -> Cost:
        found = [(self._operation(*key), times) for key, times in counts.items()]
        return Cost(
            seconds=sum(times * cost.seconds for cost, times in found),
            bytes=sum(times * cost.bytes for cost, times in found),
        )

    def _operation(self, operation: str, level: int) -> Cost:
        key = operation, level
        if key not in self._known:
            row, total = self.params.degree * RESIDUE_BYTES, Cost()
            for moves, components in exchanges_of_operation(self.limbs, operation, level):
                received = max(rows_received(moves, self.limbs.world_size))
                seconds = self.network.seconds(row_messages(moves, components, row))
                total += Cost(seconds=seconds, bytes=components * received * row)
            self._known[key] = total
        return self._known[key]


def total(costs: Iterable[Cost]) -> Cost:
    """Of operators one after the other."""
    return sum(costs, Cost())


def _alike(run: Run) -> Iterator[list[Node]]:
    """Nodes of one kind in a row: those of all token blocks, which wait for what is before them."""
    return (list(nodes) for _, nodes in groupby(run.nodes, key=lambda node: _kind(node.operator)))


def _kind(operator: Operator) -> tuple[type, ...]:
    return (Each, type(operator.operator)) if isinstance(operator, Each) else (type(operator),)


def _share(nodes: Iterable[Node], groups: int) -> float:
    """Of all pieces the most that a group has; what is one ciphertext, all devices may share by limbs."""
    counts = [_pieces(node) for node in nodes]
    if max(counts) == 1:
        return 1 / groups
    pieces = sum(counts)
    return -(-pieces // groups) / pieces


def _pieces(node: Node) -> int:
    match node.operator:
        case StreamingAttention() as attention:
            return len(attention.giant_steps) * len(attention.query_blocks)
        case MatrixProduct() as product:
            return max(product.columns_out, len(product.columns_in))
        case _:
            return len(node.outputs)
