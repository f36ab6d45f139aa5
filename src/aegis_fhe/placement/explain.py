"""Why something moves, and what not moving it would cost: for every collective that remains in a plan.

The dependency is read off the signature of the operator that reads what moves (`coupling`). Alternatives are
other plans of the same layer, evaluated as the plan itself was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from aegis_fhe.placement.alternatives import Alternative, Alternatives
from aegis_fhe.placement.coupling import Coupling, Signature
from aegis_fhe.placement.coupling.classes import Coherence, coherence
from aegis_fhe.placement.coupling.operations import OPERATIONS
from aegis_fhe.placement.coupling.operators import Couplings
from aegis_fhe.placement.evaluate import Evaluation, Machine
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Arrival
from aegis_fhe.placement.schedule import is_sum
from aegis_fhe.placement.traffic import LIMB_AXIS, TOKEN_AXIS, MoveBytes
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.shape_program import ShapeProgram
from aegis_fhe.program.operators import Each, Refresh

_VERBS = {
    Coupling.CONTRACTED: "contracts",
    Coupling.GATHERED: "gathers",
    Coupling.PERMUTED: "permutes",
}
# How far behind the node that reads what moves the operator is looked for that mixes token blocks.
STEPS = 4
# What each kind of exchange between devices that share limbs serves.
_LIMB_OPERATIONS = {
    "all_gather": ("mod up", "mod down"),
    "broadcast": ("rescale", "bootstrap"),
    "reduce_scatter": ("mod up", "mod down"),
}


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Collectives of one stage and kind that one operator's reading forces.

    axis: token (between groups) or limb (inside them). ciphertexts: different values that move; exchanges of
    rows for limbs. levels: the lowest and the highest. received_bytes: of the device that receives most.
    """

    stage: str
    kind: str
    axis: str
    reader: str
    ciphertexts: int
    levels: tuple[int, int]
    received_bytes: int
    dependency: str
    alternatives: tuple[Alternative, ...]

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def explain(found: Evaluation, program: ShapeProgram, machine: Machine) -> list[Explanation]:
    """program: of the rendering's packing, undivided. By stages in the order of the graph."""
    return _Explainer(found, program, machine).explanations()


@dataclass
class _Group:
    """moves with the nodes that read them."""

    moves: list[Arrival] = field(default_factory=list)
    readers: dict[str, Node] = field(default_factory=dict)
    reasons: dict[str, None] = field(default_factory=dict)


class _Explainer:
    def __init__(self, found: Evaluation, program: ShapeProgram, machine: Machine) -> None:
        self.found, self.facts = found, found.facts
        self.divided = program.divided(found.rendering.division)
        self.couplings = Couplings(program.bootstrap.params, program.context)
        layout = MeshLimbs(found.plan.mesh, found.rendering.limbs)
        self.sizes = MoveBytes(layout, self.facts, program.bootstrap.params.degree)
        self.known: dict[tuple[str, str, str, int, int], str] = {}
        self.roles: dict[str, dict[str, str]] = {}
        self.makers = {value: node for node in self.divided.graph.nodes for value in node.outputs}
        self.readers: dict[str, list[Node]] = {}
        for node in self.divided.graph.nodes:
            for value in dict.fromkeys(node.inputs):
                self.readers.setdefault(value, []).append(node)
        self.alternatives = Alternatives(found, self.divided, machine)

    def explanations(self) -> list[Explanation]:
        groups = self._groups()
        return [*(self._moved(*item) for item in groups.items()), *self._limbs()]

    def _groups(self) -> dict[tuple[str, str, str], _Group]:
        groups: dict[tuple[str, str, str], _Group] = {}
        if self.found.plan.mesh.tokens == 1:
            return groups
        blocks = coherence(self.divided.graph, self.couplings, self.facts.symbols)
        for one in self.found.plan.rounds:
            readers: dict[str, list[Node]] = {}
            for node in one.nodes:
                for value in dict.fromkeys(node.inputs):
                    readers.setdefault(value, []).append(node)
            for exchange in one.exchanges:
                for move, destination in exchange.arrivals:
                    node = self._reader(destination, readers.get(move.value, ()))
                    group = groups.setdefault((exchange.stage, exchange.kind, operator_name(node)), _Group())
                    group.moves.append((move, destination))
                    group.readers[node.name] = node
                    group.reasons[self._known_reason(node, move.value, destination, blocks)] = None
        return groups

    def _reader(self, destination: int, nodes: Iterable[Node]) -> Node:
        groups = self.found.plan.assignment.groups
        return next(node for node in nodes if destination in groups(node))

    def _known_reason(self, node: Node, value: str, destination: int, blocks: Coherence) -> str:
        """Values of one role and block that go to one place go there for one reason."""
        own, maker = blocks.token_block[value], self.makers[value].name
        key = node.name, self._role(node, value), maker, own, destination
        if key not in self.known:
            self.known[key] = self._reason(node, value, destination, blocks)
        return self.known[key]

    def _role(self, node: Node, value: str) -> str:
        """Of a value among a node's inputs, where it stands first."""
        if node.name not in self.roles:
            places = self.couplings.of(node, self.facts.symbols).places.inputs
            pairs = zip(reversed(node.inputs), reversed(places), strict=True)
            self.roles[node.name] = {name: place.role for name, place in pairs}
        return self.roles[node.name][value]

    def _reason(self, node: Node, value: str, destination: int, blocks: Coherence) -> str:
        """The axis along which the node needs this value where it is not."""
        role, coupling = self._role(node, value), self.couplings.of(node, self.facts.symbols)
        signature, reader, maker = coupling.roles[role], operator_name(node), self.makers[value]
        other_block = any(blocks.token_block[value] != blocks.token_block[y] for y in node.outputs)
        if isinstance(node.operator, Refresh):
            return "refresh gathers its values: two of them share a bootstrap"
        if signature.token_block is not Coupling.INDEPENDENT and other_block:
            return _sentence(reader, signature.token_block, "token", role)
        if signature.feature_block is not Coupling.INDEPENDENT and self._meets_own(node, destination, role):
            return _sentence(reader, signature.feature_block, "feature", role)
        made = operator_name(maker)
        if is_sum(node) and maker.inputs:
            return f"{reader} joins terms that {made} makes: {self._contraction(maker)}"
        behind = self._behind(node, destination, blocks)
        if behind is not None:
            return f"{behind}, behind {reader}"
        return f"no coupling: what {reader} takes lies together, the plan computes it and {made} apart"

    def _behind(self, node: Node, group: int, blocks: Coherence) -> str | None:
        """The first operator that mixes token blocks among what a group makes of a node's values."""
        front = [node]
        for _ in range(STEPS):
            made = {value for one in front for value in one.outputs}
            front = [
                reader
                for one in front
                for value in one.outputs
                for reader in self.readers.get(value, ())
                if group in self.found.plan.assignment.groups(reader)
            ]
            front = list({reader.name: reader for reader in front}.values())
            for reader in front:
                coupling = self.couplings.of(reader, self.facts.symbols)
                for value, place in zip(reader.inputs, coupling.places.inputs, strict=True):
                    own = coupling.roles[place.role].token_block
                    other = any(blocks.token_block[value] != blocks.token_block[y] for y in reader.outputs)
                    mixes = coupling.places.across and own is not Coupling.INDEPENDENT and other
                    if mixes and value in made:
                        return _sentence(operator_name(reader), own, "token", place.role)
        return None

    def _meets_own(self, node: Node, destination: int, role: str) -> bool:
        """Whether some value of the role is made where others go: if none is, all could have stayed."""
        groups, places = self.found.plan.assignment.groups, self.couplings.of(node, self.facts.symbols).places
        own = (x for x, place in zip(node.inputs, places.inputs, strict=True) if place.role == role)
        return any(destination in groups(self.makers[x]) for x in own)

    def _contraction(self, maker: Node) -> str:
        roles = self.couplings.of(maker, self.facts.symbols).roles
        for role, signature in roles.items():
            for axis, own in (("token", signature.token_block), ("feature", signature.feature_block)):
                if own is Coupling.CONTRACTED:
                    return f"partial sums, for {_sentence('it', own, axis, role)}"
        return "each is one term of a sum"

    def _moved(self, key: tuple[str, str, str], group: _Group) -> Explanation:
        stage, kind, reader = key
        values = dict.fromkeys(move.value for move, _ in group.moves)
        return Explanation(
            stage=stage,
            kind=kind,
            axis=TOKEN_AXIS,
            reader=reader,
            ciphertexts=len(values),
            levels=_range(self.facts.symbols[value].level for value in values),
            received_bytes=self._most(group.moves),
            dependency="; ".join(group.reasons),
            alternatives=self.alternatives.of(group.moves, list(group.readers.values())),
        )

    def _most(self, moves: Sequence[Arrival]) -> int:
        received: dict[int, int] = {}
        for move, group in moves:
            for device, size in enumerate(self.sizes(move, group)):
                rank = self.found.plan.mesh.rank(group, device)
                received[rank] = received.get(rank, 0) + size
        return max(received.values())

    def _limbs(self) -> Iterator[Explanation]:
        """Exchanges of rows inside operators, by stage and kind."""
        nodes: dict[tuple[str, str], dict[str, Node]] = {}
        for node in self.divided.graph.nodes:
            for collective in self.facts.nodes[node.name].collectives:
                nodes.setdefault((node.stage, collective.operation), {})[node.name] = node
        for (stage, kind), own in nodes.items():
            counts = [sum(c.operation == kind for c in self.facts.nodes[name].collectives) for name in own]
            key = LIMB_AXIS, stage, kind
            yield Explanation(
                stage=stage,
                kind=kind,
                axis=LIMB_AXIS,
                reader=", ".join(dict.fromkeys(operator_name(node) for node in own.values())),
                ciphertexts=sum(counts),
                levels=_range(self.facts.symbols[value].level for n in own.values() for value in n.inputs),
                received_bytes=max(one.get(key, 0) for one in self.found.traffic.received),
                dependency=_limb_reason(kind, own.values(), self._operations(own)),
                alternatives=self.alternatives.of_limbs(list(own.values())),
            )

    def _operations(self, nodes: Mapping[str, Node]) -> set[str]:
        """Names of what the nodes do."""
        return {name for node in nodes for name in self.facts.nodes[node].counts.totals()}


def operator_name(node: Node) -> str:
    """In words."""
    operator = node.operator
    inner = f" of {_words(type(operator.operator).__name__)}" if isinstance(operator, Each) else ""
    return f"{_words(type(operator).__name__)}{inner}"


def _words(name: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def _sentence(reader: str, coupling: Coupling, axis: str, role: str) -> str:
    return f"{reader} {_VERBS[coupling]} the {axis} axis of its {role}"


def _limb_reason(kind: str, nodes: Iterable[Node], operations: set[str]) -> str:
    """From the signatures of the operations that this kind of exchange serves."""
    switches = operations & {"key switch", "rotation", "accumulated rotation"}
    served = [name for name in _LIMB_OPERATIONS[kind] if name != "bootstrap" or "bootstrap" in operations]
    joined = Signature()
    for name in served:
        joined = joined.joined(OPERATIONS[name])
    inside = f" in {' and '.join(sorted(switches))}" if kind != "broadcast" and switches else ""
    return f"{' and '.join(served)}{inside} {_VERBS[joined.limb]} the limb axis of a ciphertext"


def _range(levels: Iterable[int]) -> tuple[int, int]:
    found = list(levels)
    return min(found), max(found)
