"""Other ways to have what moves: plans of the same layer in which one thing is different, evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.errors import LevelError, ScaleError
from aegis_fhe.placement.cost import RESIDUE_BYTES
from aegis_fhe.placement.evaluate import Evaluation, Machine, evaluate_schedule
from aegis_fhe.placement.facts import nothing_seen
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.moves import Arrival
from aegis_fhe.placement.node_seconds import ComputeSeconds
from aegis_fhe.placement.schedule import TEAM, Assignment, Place, schedule
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.long.shape_program import ShapeProgram


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """What one costs, as far as it is known; of the whole layer where `whole_layer`, else of what it is for.

    received_bytes: of the device that receives most. memory_bytes: of the fullest device.
    """

    name: str
    received_bytes: int
    seconds: float | None = None
    memory_bytes: int | None = None
    whole_layer: bool = True


@dataclass(frozen=True)
class Alternatives:
    """Of one plan. program: divided."""

    found: Evaluation
    program: ShapeProgram
    machine: Machine

    def of(self, moves: Sequence[Arrival], readers: Sequence[Node]) -> tuple[Alternative, ...]:
        """For values that move to their readers."""
        found = [self._again(moves), self._later(moves, readers), self._lower(moves, readers)]
        found.append(self._sharing(readers))
        return tuple(one for one in found if one is not None)

    def of_limbs(self, nodes: Sequence[Node]) -> tuple[Alternative, ...]:
        """For nodes whose limbs are shared: whole ciphertexts on one device."""
        params, limbs = self.program.bootstrap.params, self.found.rendering.limbs
        alone = replace(limbs, world_size=1, aggregation="none")
        period = self.program.plan.layout.sub_slots
        seconds = ComputeSeconds(params, self.machine.device, alone, period)
        spent = sum(seconds(self.found.facts.nodes[node.name]) for node in nodes)
        whole = Alternative(
            name="whole ciphertexts, one device computes these operators",
            received_bytes=0,
            seconds=spent,
            whole_layer=False,
        )
        return (whole,)

    def _again(self, moves: Sequence[Arrival]) -> Alternative | None:
        """Every group computes for itself what it reads; what that takes moves instead."""
        makers = {value: node.name for node in self.program.graph.nodes for value in node.outputs}
        where: dict[str, Place] = dict(self.found.plan.assignment.where)
        inputs = {node.name for node in self.program.graph.nodes if not node.inputs}
        if {makers[move.value] for move, _ in moves} & inputs:
            return None
        for move, group in moves:
            own = where[makers[move.value]]
            if own is TEAM:
                return None
            if group not in own:
                where[makers[move.value]] = tuple(sorted((*own, group)))
        return self._evaluated("computed again by every group that reads them", where)

    def _later(self, moves: Sequence[Arrival], readers: Sequence[Node]) -> Alternative | None:
        """Each reader is computed where all that moves to it lies, and what it makes moves."""
        source = {move.value: move.source for move, _ in moves}
        where: dict[str, Place] = dict(self.found.plan.assignment.where)
        for node in readers:
            groups = {source[value] for value in node.inputs if value in source}
            if len(groups) != 1 or where[node.name] is TEAM:
                return None
            where[node.name] = tuple(groups)
        return self._evaluated("computed where they lie, results move", where)

    def _evaluated(self, name: str, where: Mapping[str, Place]) -> Alternative:
        plan = schedule(self.program.graph, Assignment(mesh=self.found.plan.mesh, where=where))
        found = evaluate_schedule(self.found.rendering, self.program, plan, self.machine, self.found.facts)
        return Alternative(
            name=name,
            received_bytes=found.traffic.most,
            seconds=found.timeline.seconds,
            memory_bytes=found.memory.total,
        )

    def _lower(self, moves: Sequence[Arrival], readers: Sequence[Node]) -> Alternative | None:
        """At the lowest level at which the first reader still makes the same; None where that is theirs."""
        node, moved = readers[0], {move.value for move, _ in moves}
        highest = max(self.found.facts.symbols[value].level for value in moved)
        level = highest
        expected = self._results(node, moved, level)
        while level and self._results(node, moved, level - 1) == expected:
            level -= 1
        if level == highest:
            return None
        received: dict[int, int] = {}
        for move, group in moves:
            symbol = self.found.facts.symbols[move.value]
            rows = min(level, symbol.level) + 1
            size = symbol.components * rows * self.program.bootstrap.params.degree * RESIDUE_BYTES
            received[group] = received.get(group, 0) + size
        name = f"dropped to level {level} before they move"
        return Alternative(name=name, received_bytes=max(received.values()), whole_layer=False)

    def _results(self, node: Node, moved: set[str], level: int) -> list[Symbol] | None:
        """What a node makes when what moves is dropped to a level; None where it refuses."""
        symbols = self.found.facts.symbols
        values = {
            name: replace(symbols[name], level=min(level, symbols[name].level))
            if name in moved
            else replace(symbols[name])
            for name in node.inputs
        }
        params = self.program.bootstrap.params
        try:
            run_node(node, SymbolicBackend(params.q, params.slots), values, self.program.context)
        except (LevelError, ScaleError):
            return None
        return [values[name] for name in node.outputs]

    def _sharing(self, readers: Sequence[Node]) -> Alternative:
        """The readers alone, with the limbs of every ciphertext on all devices."""
        params, devices = self.program.bootstrap.params, self.found.plan.mesh.world_size
        limbs = LimbPlacement(world_size=devices, limbs=len(params.q), specials=len(params.p))
        seen, rows = nothing_seen(params, limbs), [0] * devices
        for node in readers:
            values = dict(self.found.facts.symbols)
            for collective in seen.run(node, values, self.program.context).collectives:
                rows = [a + b for a, b in zip(rows, collective.received, strict=True)]
        size = max(rows) * params.degree * RESIDUE_BYTES
        name = "limbs shared by all devices in the operators that read them"
        return Alternative(name=name, received_bytes=size, whole_layer=False)
