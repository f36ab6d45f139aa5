"""What crosses between devices that share limbs, exactly: a run that knows levels and computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost.chain import RESIDUE_BYTES
from aegis_fhe.placement.limbs import LimbPlacement, Rows, rows_received
from aegis_fhe.placement.operand_rows import OperandRows


@dataclass(frozen=True, kw_only=True)
class RowCollective:
    """One exchange of rows. moves: what goes where, in each of `components` components; received: rows of N
    residues for each device, all components.
    """

    node: str
    operation: str
    moves: tuple[Rows, ...]
    components: int
    received: tuple[int, ...]


class LimbTraffic(OperandRows):
    """The symbolic interpreter, which also writes down every exchange of `runtime.limbs.LimbEvaluator`.

    node: what is computed now. collectives: in order, those without a row left out. digit_keys: by step, the
    highest level of sums that are aggregated; counts.keys are the keys of all else.
    """

    def __init__(self, params: Parameters, placement: LimbPlacement) -> None:
        super().__init__(params.q, params.slots)
        self.degree, self.placement = params.degree, placement
        self.node = ""
        self.collectives: list[RowCollective] = []
        self.digit_keys: dict[int | str, int] = {}
        self._circuits: dict[
            tuple[Hashable, Symbol], tuple[Symbol, OperationCounts, list[RowCollective]]
        ] = {}
        self._known: dict[tuple[str, int], tuple[Rows, ...]] = {}
        self._noted: dict[tuple[str, str, int, int], RowCollective] = {}

    def repeated(self, circuit: Hashable, x: Symbol, run: Callable[[Symbol], Symbol]) -> Symbol:
        """Run once for each x; operations and exchanges are noted down again from then on."""
        key = circuit, x
        if key not in self._circuits:
            counts, collectives = self.counts, self.collectives
            self.counts, self.collectives = OperationCounts(), []
            try:
                # Copies: what is kept here must not keep the circuit's own values alive.
                self._circuits[circuit, x.copy()] = run(x).copy(), self.counts, self.collectives
            finally:
                self.counts, self.collectives = counts, collectives
        result, found, exchanges = self._circuits[key]
        self.counts.include(found)
        self.collectives += exchanges
        return result.copy()

    def received_bytes(self, rank: int) -> dict[tuple[str, str], int]:
        """Bytes that a device receives for each (node, operation), zeros left out."""
        totals: dict[tuple[str, str], int] = {}
        for one in self.collectives:
            if one.received[rank]:
                key = one.node, one.operation
                totals[key] = totals.get(key, 0) + one.received[rank] * self.degree * RESIDUE_BYTES
        return totals

    def relinearize(self, x: Symbol) -> Symbol:
        """A gather, and the special limbs where they are split."""
        if x.components == 3:
            self._switch(x.level)
        return super().relinearize(x)

    def relinearize_rescale(self, x: Symbol) -> Symbol:
        """The dropped limb goes with the division."""
        if x.components == 2:
            return self.rescale(x)
        self._gather(x.level)
        self._divide(x.level - 1)
        self._drop(x.level, 2)
        return self._rescaled(super().relinearize(x))

    def rescale(self, x: Symbol) -> Symbol:
        """The dropped limb."""
        self._drop(x.level, x.components)
        return super().rescale(x)

    def rotate_many(self, x: Symbol, steps: Sequence[int]) -> list[Symbol]:
        """One gather for all rotations, a division for each."""
        moving = sum(1 for step in steps if step % self.slots) if self.placement.world_size > 1 else 0
        if moving:
            self._gather(x.level)
        for _ in range(moving):
            self._divide(x.level)
        return super().rotate_many(x, steps)

    def conjugate(self, x: Symbol) -> Symbol:
        """As a rotation."""
        self._switch(x.level)
        return super().conjugate(x)

    def rotate_sum(self, xs: Sequence[Symbol], steps: Sequence[int]) -> Symbol:
        """A gather for each ciphertext that is turned and one division, or one sum over devices."""
        return self._turned_sum(xs, steps, rescale=False)

    def rotate_sum_rescale(self, xs: Sequence[Symbol], steps: Sequence[int]) -> Symbol:
        """As rotate_sum, the dropped limb with the division or after it."""
        if not any(step % self.slots for step in steps):
            return super().rotate_sum_rescale(xs, steps)
        return self._rescaled(self._turned_sum(xs, steps, rescale=True))

    def raise_modulus(self, x: Symbol) -> Symbol:
        """Limb 0 of both components to all devices, which then know every row."""
        self._note("broadcast", self.placement.base(), 2)
        self._divide(len(self.moduli) - 1)
        return super().raise_modulus(x)

    def _turned_sum(self, xs: Sequence[Symbol], steps: Sequence[int], *, rescale: bool) -> Symbol:
        """The sum, not yet rescaled; keys that are multiplied by digits are noted apart."""
        if not self._sum(xs, steps, rescale=rescale):
            return SymbolicBackend.rotate_sum(self, xs, steps)
        counts, self.counts = self.counts, OperationCounts()
        try:
            result = SymbolicBackend.rotate_sum(self, xs, steps)
        finally:
            found, self.counts = self.counts, counts
        for step, level in found.keys.items():
            self.digit_keys[step] = max(level, self.digit_keys.get(step, level))
        found.keys.clear()
        self.counts.include(found)
        return result

    def _sum(self, xs: Sequence[Symbol], steps: Sequence[int], *, rescale: bool) -> bool:
        """Notes the exchanges; whether the sum is aggregated."""
        placement, level = self.placement, min(x.level for x in xs)
        turned = {id(x) for x, step in zip(xs, steps, strict=True) if step % self.slots}
        aggregates = placement.aggregates(len(turned), level)
        if aggregates:
            exact = placement.aggregation == "exact"
            self._note("reduce_scatter", self._moves(self._scatter, level), 2)
            if exact:
                self._note("all_gather", self._moves(placement.gather_sums, level - rescale), 2)
        else:
            for _ in turned:
                self._gather(level)
            if turned:
                self._divide(level - rescale)
        if rescale:
            self._drop(level, 2)
        return aggregates

    def _scatter(self, level: int) -> tuple[Rows, ...]:
        return self.placement.scatter(level, extended=self.placement.aggregation == "exact")

    def _switch(self, level: int) -> None:
        self._gather(level)
        self._divide(level)

    def _gather(self, level: int) -> None:
        self._note("all_gather", self._moves(self.placement.gather, level), 1)

    def _divide(self, kept_level: int) -> None:
        self._note("all_gather", self._moves(self.placement.gather_specials, kept_level), 2)

    def _drop(self, level: int, components: int) -> None:
        self._note("broadcast", self._moves(self.placement.drop, level), components)

    def _moves(self, kind: Callable[[int], tuple[Rows, ...]], level: int) -> tuple[Rows, ...]:
        """The same object for all exchanges of a kind at a level: of some operators there are many."""
        key = kind.__name__, level
        if key not in self._known:
            self._known[key] = kind(level)
        return self._known[key]

    def _note(self, operation: str, moves: tuple[Rows, ...], components: int) -> None:
        """Equal ones are one object, which keeps its moves and with them their identity."""
        if not moves:
            return
        key = self.node, operation, id(moves), components
        if key not in self._noted:
            received = rows_received(moves, self.placement.world_size)
            self._noted[key] = RowCollective(
                node=self.node,
                operation=operation,
                moves=moves,
                components=components,
                received=tuple(components * rows for rows in received),
            )
        self.collectives.append(self._noted[key])


def exchanges_of_operation(
    placement: LimbPlacement, operation: str, level: int
) -> list[tuple[tuple[Rows, ...], int]]:
    """(moves, components) of an operation by its name in `OperationCounts`, sums not aggregated.

    Less than what is noted where a rescale goes with a key switch, for which its limb crosses besides.
    """
    gather, divide = (placement.gather(level), 1), (placement.gather_specials(level), 2)
    found = {
        "mod up": [gather],
        "mod down": [divide],
        "rotation": [divide],
        "key switch": [gather, divide],
        "rescale": [(placement.drop(level), 2)],
        "bootstrap": [(placement.base(), 2)],
    }
    return [(moves, components) for moves, components in found.get(operation, []) if moves]
