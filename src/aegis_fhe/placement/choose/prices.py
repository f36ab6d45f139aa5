"""What ways cost: alone, and what has to move from one operator's way to another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.placement.choose.runs import Run
from aegis_fhe.placement.choose.ways import Way
from aegis_fhe.placement.cost import DeviceModel, Network
from aegis_fhe.placement.facts import GraphFacts, NodeFacts, Seen, graph_facts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.node_seconds import FormSeconds
from aegis_fhe.placement.planner import Cost
from aegis_fhe.placement.schedule import TEAM, Assignment, Place, schedule
from aegis_fhe.placement.timeline import simulate
from aegis_fhe.placement.traffic import predict_traffic
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.long.shape_program import ShapeProgram
from aegis_fhe.program.operators import Add, Input

# Values with the same history: level, components, who has them, which groups read them whole, and whether the
# team reads them.
_Kind = tuple[int, int, Place, tuple[int, ...], bool]


@dataclass
class Prices:
    """Of one undivided program on one mesh. limbs: of a group; symbols: of the program's values, which are
    looked for where they are not known.

    Seconds of a way are those until its last group is done, exchanges overlapped as far as its order allows.
    """

    program: ShapeProgram
    mesh: Mesh
    limbs: LimbPlacement
    device: DeviceModel
    network: Network
    seen: Seen
    team_seen: Seen
    symbols: Mapping[str, Symbol] | None = None

    def __post_init__(self) -> None:
        program, known = self.program, self.symbols
        if known is None:
            known = graph_facts(program.graph, program.context, program.symbols, self.seen).symbols
        self._symbols = known
        self._computing = FormSeconds.of_program(program, MeshLimbs(self.mesh, self.limbs), self.device)
        self._alone: dict[tuple[str, str, Division], Cost] = {}
        self._moved: dict[tuple[_Kind, ...], Cost] = {}

    def alone(self, run: Run, way: Way) -> Cost:
        """With all inputs where they are read. Ways of one name and division are one way."""
        key = run.name, way.name, way.division
        if key not in self._alone:
            self._alone[key] = self._simulated(run, way)
        return self._alone[key]

    def _simulated(self, run: Run, way: Way) -> Cost:
        readers: dict[str, list[Place]] = {value: [] for value in run.outside}
        for node in way.nodes:
            for value in set(node.inputs) & readers.keys():
                readers[value].append(way.where[node.name])
        inputs = [_made(value, run.stage) for value in readers]
        where = {f"in {value}": _together(places) for value, places in readers.items() if places}
        inputs = [node for node in inputs if node.name in where]
        graph = Graph((*inputs, *way.nodes), ())
        shared = (name for name, place in way.where.items() if place is TEAM)
        facts = graph_facts(
            graph, self.program.context, self._symbols, self.seen, dict.fromkeys(shared, self.team_seen)
        )

        plan = schedule(graph, Assignment(mesh=self.mesh, where={**where, **way.where}))
        seconds = self._computing.of_plan(plan, facts)
        degree = self.program.bootstrap.params.degree
        timeline = simulate(plan, facts, seconds, self.network, self.limbs, degree, moving="eager")
        traffic = predict_traffic(plan, self.limbs, facts, degree)
        return Cost(seconds=timeline.seconds, bytes=float(traffic.most))

    def between(self, holders: Mapping[str, Place], readers: Mapping[str, Sequence[Place]]) -> Cost:
        """holders, readers: by value. All that moves leaves at once and nothing overlaps it."""
        kinds: list[_Kind] = []
        for value, places in readers.items():
            symbol = self._symbols[value]
            groups = {group for place in set(places) if place is not TEAM for group in place}
            whole = tuple(sorted(groups))
            kinds.append((symbol.level, symbol.components, holders[value], whole, TEAM in places))
        key = tuple(sorted(kinds, key=_order))
        if key not in self._moved:
            self._moved[key] = self._moves(key)
        return self._moved[key]

    def _moves(self, kinds: Sequence[_Kind]) -> Cost:
        nodes, where = list[Node](), dict[str, Place]()
        symbols = dict[str, Symbol]()
        for index, (level, components, place, _, _) in enumerate(kinds):
            value = f"v{index}"
            symbols[value] = Symbol(level, 1.0, components)
            nodes.append(_made(value, ""))
            where[nodes[-1].name] = place
        for index, (_, _, _, whole, shared) in enumerate(kinds):
            readers: list[Place] = [*([whole] if whole else []), *([TEAM] if shared else [])]
            for number, reader in enumerate(readers):
                name = f"out {index}.{number}"
                nodes.append(
                    Node(name=name, operator=Add(), block=0, stage="", inputs=(f"v{index}",), outputs=(name,))
                )
                where[name] = reader
        facts = dict.fromkeys((node.name for node in nodes), NodeFacts(OperationCounts()))
        known = GraphFacts(nodes=facts, symbols=symbols)
        plan = schedule(Graph(tuple(nodes), ()), Assignment(mesh=self.mesh, where=where))
        degree = self.program.bootstrap.params.degree
        timeline = simulate(plan, known, lambda node: 0.0, self.network, self.limbs, degree)
        traffic = predict_traffic(plan, self.limbs, known, degree)
        return Cost(seconds=timeline.seconds, bytes=float(traffic.most))


def _order(kind: _Kind) -> tuple[int, int, tuple[int, ...], tuple[int, ...], bool]:
    """The team comes before all groups."""
    level, components, holder, whole, shared = kind
    return level, components, (-1,) if holder is TEAM else holder, whole, shared


def _made(value: str, stage: str) -> Node:
    return Node(name=f"in {value}", operator=Input(0), block=0, stage=stage, inputs=(), outputs=(value,))


def _together(places: Sequence[Place]) -> Place:
    """Where a value is that all these read: by limbs if only the team does."""
    groups = {group for place in places if place is not TEAM for group in place}
    return tuple(sorted(groups)) if groups else TEAM
