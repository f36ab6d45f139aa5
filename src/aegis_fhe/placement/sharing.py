"""Whether nodes end sooner when all devices share their limbs than on one group: the seconds of both."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.cost import DeviceModel, Network
from aegis_fhe.placement.facts import GraphFacts, Seen, graph_facts, nothing_seen
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import ValueMove
from aegis_fhe.placement.node_seconds import ExchangeSeconds, FormSeconds
from aegis_fhe.placement.traffic import move_messages
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.shape_program import ShapeProgram


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """Seconds of nodes one after the other. alone: on one group, its own exchanges of limbs included.

    By the team: computing, exchanging limbs within the nodes, and moving: inputs scattered from one group and
    what is read elsewhere gathered to it.
    """

    alone: float
    computing: float
    exchanging: float
    moving: float

    @property
    def together(self) -> float:
        """By the team, from whole values to whole values."""
        return self.computing + self.exchanging + self.moving

    @property
    def gain(self) -> float:
        """What the team saves: negative where a group alone ends sooner."""
        return self.alone - self.together


@dataclass
class SharingSeconds:
    """Prices nodes of one program on one mesh. limbs: of a group; seen, team_seen: as `evaluate`."""

    program: ShapeProgram
    layout: MeshLimbs
    device: DeviceModel
    network: Network
    seen: Seen
    team_seen: Seen
    facts: GraphFacts = field(init=False)

    @classmethod
    def of(
        cls, program: ShapeProgram, mesh: Mesh, limbs: LimbPlacement, device: DeviceModel, network: Network
    ) -> SharingSeconds:
        """Nothing is known yet of what nodes do."""
        params, layout = program.bootstrap.params, MeshLimbs(mesh, limbs)
        seen, team_seen = nothing_seen(params, limbs), nothing_seen(params, layout.team)
        return cls(program, layout, device, network, seen, team_seen)

    def __post_init__(self) -> None:
        self.facts = self._facts(())
        self._computing = FormSeconds(self.program, self.layout, self.device)
        self._exchanges = ExchangeSeconds(self.network, self.program.bootstrap.params.degree)

    def __call__(self, names: Collection[str]) -> Sharing:
        """Of nodes by name. Raises CompatibilityError for one that the program does not have."""
        nodes = [node for node in self.program.graph.nodes if node.name in names]
        if len(nodes) != len(set(names)):
            unknown = sorted(set(names) - {node.name for node in nodes})
            raise CompatibilityError(f"the program has no nodes {', '.join(unknown)}: it is another one")
        shared = self._facts(names)
        alone = [self.facts.nodes[node.name] for node in nodes]
        together = [shared.nodes[node.name] for node in nodes]
        return Sharing(
            alone=sum(self._computing("whole", one) + self._exchanges(one) for one in alone),
            computing=sum(self._computing("shared", one) for one in together),
            exchanging=sum(map(self._exchanges, together)),
            moving=self._moving(nodes),
        )

    def _facts(self, names: Collection[str]) -> GraphFacts:
        program = self.program
        others = dict.fromkeys(names, self.team_seen)
        return graph_facts(program.graph, program.context, program.symbols, self.seen, others)

    def _moving(self, nodes: Collection[Node]) -> float:
        """All inputs at once, then all results."""
        graph, made = self.program.graph, {value for node in nodes for value in node.outputs}
        inner = {node.name for node in nodes}
        read = {value for node in graph.nodes if node.name not in inner for value in node.inputs}
        groups = range(self.layout.mesh.tokens)
        inputs = dict.fromkeys(value for node in nodes for value in node.inputs if value not in made)
        scattered = [
            ValueMove(value=value, source=0, destination=group, stage="", way="scatter")
            for value in inputs
            for group in groups
        ]
        gathered = [
            ValueMove(value=value, source=group, destination=0, stage="", way="gather")
            for value in made & (read | set(graph.results))
            for group in groups
        ]
        return self._seconds(scattered) + self._seconds(gathered)

    def _seconds(self, moves: Collection[ValueMove]) -> float:
        degree = self.program.bootstrap.params.degree
        return self.network.seconds(move_messages(moves, self.layout, self.facts, degree))
