"""What a node holds while it runs: the symbolic interpreter with lifetimes, which are those of ciphertexts.

Operators are written once, so a symbol lives exactly as long as the ciphertext in its place would.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.placement.limb_traffic import LimbTraffic
from aegis_fhe.placement.limbs import LimbPlacement


class _Block:
    """Rows that live as long as a symbol that views them."""

    def __init__(self, owner: NodeMemory, rows: int) -> None:
        self.owner, self.rows = owner, rows
        owner.now += rows

    def __del__(self) -> None:
        self.owner.now -= self.rows


class NodeMemory(LimbTraffic):
    """peak: the most rows of N residues that device 0 of a group takes besides the inputs, results included.

    A key switch of an operand at level l holds digits d (l + 1 + k), two sums of l + 1 + k rows, its result,
    and in its division the dropped rows and, before an automorphism, another component.
    """

    def __init__(self, params: Parameters, placement: LimbPlacement) -> None:
        super().__init__(params, placement)
        self.params = params
        self.now = self.peak = 0
        self._inside: dict[tuple[Hashable, Symbol], int] = {}
        self._specials = len(placement.p_limbs(0))
        self._digit_rows: dict[int, int] = {}

    def repeated(self, circuit: Hashable, x: Symbol, run: Callable[[Symbol], Symbol]) -> Symbol:
        """Takes as much every time, beside what is held by then, and its result lives like any other."""

        def measured(y: Symbol) -> Symbol:
            before, self.peak = self.peak, self.now
            start = self.now
            result = run(y)
            self._inside[circuit, y.copy()] = self.peak - start
            self.peak = max(before, self.peak)
            return result

        found = super().repeated(circuit, x, measured)
        self._during(self._inside[circuit, x])
        return self._new(found)

    def _rows(self, level: int) -> int:
        return level // self.placement.world_size + 1

    def _extended(self, level: int) -> int:
        return self._rows(level) + self._specials

    def _digits(self, level: int) -> int:
        if level not in self._digit_rows:
            self._digit_rows[level] = len(self.params.digits(level)) * self._extended(level)
        return self._digit_rows[level]

    def _during(self, rows: int) -> None:
        self.peak = max(self.peak, self.now + rows)

    def _new(self, x: Symbol) -> Symbol:
        x.held = _Block(self, x.components * self._rows(x.level))
        self.peak = max(self.peak, self.now)
        return x

    def _view(self, x: Symbol, of: Symbol) -> Symbol:
        x.held = of.held
        return x

    def add(self, x: Symbol, y: Symbol) -> Symbol:
        """A sum of its own."""
        return self._new(super().add(x, y))

    def negate(self, x: Symbol) -> Symbol:
        """As add."""
        return self._new(super().negate(x))

    def add_scalar(self, x: Symbol, c: float) -> Symbol:
        """As add."""
        return self._new(super().add_scalar(x, c))

    def mul_integer(self, x: Symbol, m: int) -> Symbol:
        """As add."""
        return self._new(super().mul_integer(x, m))

    def mul_i(self, x: Symbol) -> Symbol:
        """As add."""
        return self._new(super().mul_i(x))

    def mul_scalar(self, x: Symbol, c: float, scale: float) -> Symbol:
        """As add."""
        return self._new(super().mul_scalar(x, c, scale))

    def add_plain(self, x: Symbol, v: SlotVector) -> Symbol:
        """The encoded vector besides."""
        self._during(3 * self._rows(x.level))
        return self._new(super().add_plain(x, v))

    def mul_plain(self, x: Symbol, v: SlotVector, scale: float) -> Symbol:
        """A dense vector is encoded besides."""
        result = super().mul_plain(x, v, scale)
        dense = v.period == self.slots
        self._during((x.components + dense) * self._rows(x.level))
        return self._new(result)

    def mul_plain_sums(
        self, xs: Sequence[Symbol], rows: Sequence[Sequence[Any]], scale: float
    ) -> list[Symbol]:
        """All sums."""
        return [self._new(x) for x in super().mul_plain_sums(xs, rows, scale)]

    def sum(self, xs: Sequence[Symbol]) -> Symbol:
        """As add; of one term nothing."""
        found = super().sum(xs)
        return found if len(xs) == 1 else self._new(found)

    def multiply_sum(self, xs: Sequence[Symbol], ys: Sequence[Symbol], onto: Symbol | None = None) -> Symbol:
        """Three components, besides what they are added to."""
        return self._new(super().multiply_sum(xs, ys, onto))

    def rescale(self, x: Symbol) -> Symbol:
        """The dropped row of each component besides."""
        self._during(x.components * (self._rows(x.level - 1) if x.level else 0) + 1)
        return self._new(super().rescale(x))

    def relinearize(self, x: Symbol) -> Symbol:
        """A key switch."""
        if x.components == 3:
            self._switched(x.level, 0)
            return self._new(super().relinearize(x))
        return super().relinearize(x)

    def relinearize_rescale(self, x: Symbol) -> Symbol:
        """A key switch that divides by one prime more."""
        if x.components == 2:
            return self.rescale(x)
        self._switched(x.level, 0)
        return self._new(super().relinearize_rescale(x))

    def drop_to(self, x: Symbol, level: int) -> Symbol:
        """A view."""
        return self._view(super().drop_to(x, level), x)

    def with_scale(self, x: Symbol, scale: float) -> Symbol:
        """A view."""
        return self._view(super().with_scale(x, scale), x)

    def rotate_many(self, x: Symbol, steps: Sequence[int]) -> list[Symbol]:
        """Digits stay while the rotations are made one by one."""
        found, digits = super().rotate_many(x, steps), self._digits(x.level)
        applied, rows = digits + self._applied(x.level), x.components * self._rows(x.level)
        for y in found:
            if y is not x:
                self.peak = max(self.peak, self.now + applied)
                y.held = _Block(self, rows)
                self.peak = max(self.peak, self.now + digits)
        return found

    def conjugate(self, x: Symbol) -> Symbol:
        """As one rotation."""
        self._during(self._digits(x.level) + self._applied(x.level))
        return self._new(super().conjugate(x))

    def rotate_sum(self, xs: Sequence[Symbol], steps: Sequence[int]) -> Symbol:
        """The sum modulo QP beside one operand's digits."""
        level = min(x.level for x in xs)
        if not any(step % self.slots for step in steps):
            found = super().rotate_sum(xs, steps)
            return self._view(found, xs[0]) if len(xs) == 1 else self._new(found)
        self._summed(xs, steps, level)
        return self._new(super().rotate_sum(xs, steps))

    def rotate_sum_rescale(self, xs: Sequence[Symbol], steps: Sequence[int]) -> Symbol:
        """As rotate_sum."""
        level = min(x.level for x in xs)
        if not any(step % self.slots for step in steps):
            return super().rotate_sum_rescale(xs, steps)
        self._summed(xs, steps, level)
        self._sum(xs, steps, rescale=True)
        return self._new(self._rescaled(SymbolicBackend.rotate_sum(self, xs, steps)))

    def raise_modulus(self, x: Symbol) -> Symbol:
        """A key switch at the highest level, with the raised ciphertext."""
        top = len(self.moduli) - 1
        self._during(2 * self._rows(top) + self._digits(top) + self._applied(top))
        return self._new(super().raise_modulus(x))

    def _applied(self, level: int) -> int:
        """A product, its quotient, and what the division takes."""
        return 2 * self._extended(level) + 3 * self._rows(level) + self._specials

    def _summed(self, xs: Sequence[Symbol], steps: Sequence[int], level: int) -> None:
        """With inputs gathered; or aggregated: own digits and their sum in all limbs, what is not turned."""
        turned = {id(x) for x, step in zip(xs, steps, strict=True) if step % self.slots}
        if not self.placement.aggregates(len(turned), level):
            self._switched(level, 2 * self._extended(level))
            return
        every, rows = level + 1 + len(self.params.p), self._rows(level)
        digits = len(self.placement.own_digits(len(self.params.digits(level)), 0)) * every
        self._during(2 * every + 2 * rows + rows + digits + every)

    def _switched(self, level: int, beside: int) -> None:
        """Digits with the coefficients they are made of; then the quotient."""
        extended, rows = self._extended(level), self._rows(level)
        digits = self._digits(level)
        first = max(level + 1 + extended, 0 if beside else 2 * extended)
        self._during(digits + first + beside)
        self._during(2 * extended + 2 * rows + self._specials)
