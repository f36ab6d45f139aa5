"""Runs one device's share of a schedule; a single device is a mesh of 1 x 1."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.schedule import Exchange, Schedule
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import release, run_node, uses
from aegis_fhe.program.operators import Context
from aegis_fhe.runtime.limbs import LimbEvaluator
from aegis_fhe.runtime.mesh.connect import MeshCommunicators
from aegis_fhe.runtime.transfers import Transfer


@dataclass
class MeshExecution:
    """What a device made: its rows of the results that its group computes, and seconds by stage."""

    results: dict[str, Ciphertext] = field(default_factory=dict)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


@dataclass(frozen=True, kw_only=True)
class MeshProgram:
    """A schedule with what is known of its values. symbols: level, scale and components of each value."""

    schedule: Schedule
    limbs: LimbPlacement
    symbols: Mapping[str, Symbol]
    results: tuple[str, ...]


def execute_schedule(
    program: MeshProgram,
    evaluator: Evaluator,
    communicators: MeshCommunicators,
    inputs: Mapping[str, Ciphertext],
    context: Context,
) -> MeshExecution:
    """inputs: this device's rows of the input ciphertexts that its group computes with.

    A LimbEvaluator where limbs are shared. Values are forgotten after their last use on this device.
    """
    return _Run(program, evaluator, communicators, dict(inputs), context).run()


@dataclass
class _Run:
    program: MeshProgram
    evaluator: Evaluator
    communicators: MeshCommunicators
    values: dict[str, Ciphertext]
    context: Context

    def run(self) -> MeshExecution:
        plan, group = self.program.schedule, self.communicators.group
        mine = plan.nodes_of(group)
        left, execution = self._uses(mine), MeshExecution()
        for one in plan.rounds:
            for exchange in one.exchanges:
                start = time.monotonic()
                self._exchange(exchange, left)
                execution.seconds[exchange.stage] += time.monotonic() - start
            for node in one.nodes:
                if group not in plan.assignment.where[node.name]:
                    continue
                start = time.monotonic()
                if isinstance(self.evaluator, LimbEvaluator):
                    self.evaluator.exchange.node = node.stage
                run_node(node, self.evaluator, self.values, self.context)
                release(node, left, self.values)
                execution.seconds[node.stage] += time.monotonic() - start
        made = {value for node in mine for value in node.outputs}
        execution.results = {name: self.values[name] for name in self.program.results if name in made}
        return execution

    def _uses(self, mine: list[Node]) -> Counter[str]:
        """By this group's nodes, by results, and by moves that leave it."""
        left = uses(mine, self.program.results)
        for one in self.program.schedule.rounds:
            for exchange in one.exchanges:
                left.update(m.value for m in exchange.moves if m.source == self.communicators.group)
        return left

    def _exchange(self, exchange: Exchange, left: Counter[str]) -> None:
        """Sends and receives this device's rows; shapes and scales are those of the plan."""
        group, device = self.communicators.group, self.communicators.device
        owned: dict[int, Tensor] = {}
        transfers = []
        for index, move in enumerate(exchange.moves):
            symbol = self.program.symbols[move.value]
            rows = len(self.program.limbs.q_limbs(symbol.level, device))
            if not rows:
                continue
            transfers.append(
                Transfer(
                    index=index,
                    source=move.source,
                    destination=move.destination,
                    shape=(symbol.components, rows, self.evaluator.params.degree),
                )
            )
            if move.source == group:
                owned[index] = self._sent(move.value, symbol)
        received = self.communicators.tokens.start_exchange(
            exchange.stage, owned, transfers, operation=exchange.kind
        ).wait()
        for index, move in enumerate(exchange.moves):
            if move.destination == group:
                self.values[move.value] = self._received(move.value, received.get(index))
            if move.source == group:
                left[move.value] -= 1
                if left[move.value] == 0:
                    self.values.pop(move.value, None)

    def _sent(self, name: str, symbol: Symbol) -> Tensor:
        value = self.values[name]
        assert value.level == symbol.level, f"{name}: level {value.level}, the plan says {symbol.level}"
        assert value.scale == symbol.scale, f"{name}: scale {value.scale}, the plan says {symbol.scale}"
        return value.parts.contiguous()

    def _received(self, name: str, parts: Tensor | None) -> Ciphertext:
        symbol = self.program.symbols[name]
        if parts is None:  # no limb of so low a level lies here
            shape = (symbol.components, 0, self.evaluator.params.degree)
            parts = self.evaluator.params.ring.arena.empty(shape)
        return self.evaluator.made(parts, symbol.level, symbol.scale)
