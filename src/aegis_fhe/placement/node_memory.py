"""What a node holds while it runs: the symbolic interpreter with lifetimes, which are those of ciphertexts.

Operators are written once, so a symbol lives exactly as long as the ciphertext in its place would.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.plain_rows import TEMPORARY_BYTES, used_columns
from aegis_fhe.ckks.shared_keys import switched_together
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.placement.cost.chain import RESIDUE_BYTES
from aegis_fhe.placement.limb_traffic import LimbTraffic
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.switch_rows import SwitchRows

# Of periodic weights that a kernel transforms together; of operands of a matrix product that it packs, in
# runs of PACKED_RUN entries at the least: `csrc/matrix.cpp`.
WEIGHT_WORDS, PACKED_WORDS, PACKED_RUN = 1 << 20, 1 << 16, 64


class _Block:
    """Rows that live as long as a symbol that views them."""

    def __init__(self, owner: NodeMemory, rows: int) -> None:
        self.owner, self.rows = owner, rows
        owner.now += rows

    def __del__(self) -> None:
        self.owner.now -= self.rows


class NodeMemory(LimbTraffic):
    """peak: the most rows of N residues that one device takes besides the inputs, results included.

    What a key switch holds is in `SwitchRows`.
    """

    def __init__(self, params: Parameters, placement: LimbPlacement, device: int = 0) -> None:
        super().__init__(params, placement)
        self.params, self.device = params, device
        self.now = self.peak = 0
        self._inside: dict[tuple[Hashable, Symbol], int] = {}
        self.switch = SwitchRows(params, placement, device)
        self._rows = self.switch.rows

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

    def linear_combination(
        self,
        xs: Sequence[Symbol],
        coefficients: Sequence[float],
        scale: float,
        *,
        constant: float = 0.0,
        onto: Symbol | None = None,
    ) -> Symbol:
        """The result alone, of however many terms."""
        return self._new(super().linear_combination(xs, coefficients, scale, constant=constant, onto=onto))

    def add_plain(self, x: Symbol, v: SlotVector) -> Symbol:
        """The encoded vector besides."""
        self._during(3 * self._rows(x.level))
        return self._new(super().add_plain(x, v))

    def mul_plain(self, x: Symbol, v: SlotVector, scale: float) -> Symbol:
        """As a sum of one."""
        self._encoded([x], [[v]])
        return self._new(super().mul_plain(x, v, scale))

    def mul_plain_sums(
        self, xs: Sequence[Symbol], rows: Sequence[Sequence[Any]], scale: float
    ) -> list[Symbol]:
        """All sums, and plaintexts in the limbs of some or all."""
        self._encoded(xs, rows)
        return [self._new(x) for x in super().mul_plain_sums(xs, rows, scale)]

    def sum(self, xs: Sequence[Symbol]) -> Symbol:
        """As add; of one term nothing."""
        found = super().sum(xs)
        return found if len(xs) == 1 else self._new(found)

    def multiply_sum(self, xs: Sequence[Symbol], ys: Sequence[Symbol], onto: Symbol | None = None) -> Symbol:
        """Three components, besides what they are added to, and operands packed."""
        found = self._new(super().multiply_sum(xs, ys, onto))
        self._packed(4 * len(xs))
        return found

    def multiply_matrix(
        self,
        xs: Sequence[Sequence[Symbol]],
        ys: Sequence[Sequence[Symbol]],
        onto: Sequence[Sequence[Symbol]] = (),
    ) -> list[list[Symbol]]:
        """All entries, and operands packed."""
        found = super().multiply_matrix(xs, ys, onto)
        self._packed(2 * len(ys) * (len(xs) + len(ys[0])))
        return found

    def rescale(self, x: Symbol) -> Symbol:
        """The dropped rows besides."""
        self._during(self.switch.rescaled(x.level, x.components))
        return self._new(super().rescale(x))

    def relinearize(self, x: Symbol) -> Symbol:
        """A key switch."""
        if x.components == 3:
            self._switched(x.level, rescale=False)
            return self._new(super().relinearize(x))
        return super().relinearize(x)

    def relinearize_rescale(self, x: Symbol) -> Symbol:
        """As of one."""
        return self.relinearize_rescale_each([x])[0]

    def relinearize_rescale_each(self, xs: Sequence[Symbol]) -> list[Symbol]:
        """Key switches that divide by one prime more, as many at once as share a key, of one level."""
        found = {at: self.rescale(x) for at, x in enumerate(xs) if x.components == 2}
        levels = {at: x.level for at, x in enumerate(xs) if x.components == 3}
        for level, places in switched_together(levels, self.switch.at_once):
            self._switched(level, rescale=True, operands=len(places))
            for at in places:
                found[at] = self._new(super().relinearize_rescale(xs[at]))
        return [found[at] for at in range(len(xs))]

    def drop_to(self, x: Symbol, level: int) -> Symbol:
        """A view."""
        return self._view(super().drop_to(x, level), x)

    def with_scale(self, x: Symbol, scale: float) -> Symbol:
        """A view."""
        return self._view(super().with_scale(x, scale), x)

    def rotate_many(self, x: Symbol, steps: Sequence[int]) -> list[Symbol]:
        """As of one."""
        return self.rotate_many_each([x], steps)[0]

    def rotate_many_each(self, xs: Sequence[Symbol], steps: Sequence[int]) -> list[list[Symbol]]:
        """Digits of as many as share a key stay while their rotations are made, step by step."""
        found = [super(NodeMemory, self).rotate_many(x, steps) for x in xs]
        moving = [at for at, step in enumerate(steps) if step % self.slots]
        levels = {place: x.level for place, x in enumerate(xs)} if moving else {}
        for level, places in switched_together(levels, self.switch.at_once):
            digits = len(places) * self.switch.digits(level)
            self._during(digits - self.switch.digits(level) + self.switch.making(level))
            for step in moving:
                self._during(digits + self.switch.divided(level, turned=True, operands=len(places)))
                for place in places:
                    self._new(found[place][step])
                self._during(digits)
        return found

    def conjugate(self, x: Symbol) -> Symbol:
        """As one rotation."""
        self._during(self.switch.making(x.level))
        self._during(self.switch.digits(x.level) + self.switch.divided(x.level, turned=True))
        return self._new(super().conjugate(x))

    def rotate_sum(self, xs: Sequence[Symbol], steps: Sequence[int]) -> Symbol:
        """The sum modulo QP beside one operand's digits."""
        if not any(step % self.slots for step in steps):
            found = super().rotate_sum(xs, steps)
            return self._view(found, xs[0]) if len(xs) == 1 else self._new(found)
        self._summed(xs, steps, rescale=False)
        return self._new(super().rotate_sum(xs, steps))

    def rotate_sum_rescale(self, xs: Sequence[Symbol], steps: Sequence[int]) -> Symbol:
        """As rotate_sum."""
        if not any(step % self.slots for step in steps):
            return super().rotate_sum_rescale(xs, steps)
        self._summed(xs, steps, rescale=True)
        return self._new(self._rescaled(self._turned_sum(xs, steps, rescale=True)))

    def raise_modulus(self, x: Symbol) -> Symbol:
        """A key switch at the top, with the raised ciphertext and, where shared, its coefficients."""
        top, switch = len(self.moduli) - 1, self.switch
        beside = 2 * self._rows(top) + (top + 1 if switch.shares else 0)
        self._during(2 * self._rows(top) + switch.making(top))
        self._during(beside + switch.digits(top) + switch.divided(top))
        return self._new(super().raise_modulus(x))

    def _packed(self, polynomials: int) -> None:
        """Of one limb, as much of each operand as fits."""
        run = self.degree
        while run > PACKED_RUN and run * polynomials > PACKED_WORDS:
            run //= 2
        self._during(-(-run * polynomials // self.degree))

    def _switched(self, level: int, *, rescale: bool, operands: int = 1) -> None:
        """Digits are made, one operand's after the other's, and multiplied; then products are divided."""
        switch, digits = self.switch, operands * self.switch.digits(level)
        self._during(digits - switch.digits(level) + switch.making(level))
        divided = switch.divided_rescale if rescale else switch.divided
        self._during(digits + divided(level, operands=operands))

    def _summed(self, xs: Sequence[Symbol], steps: Sequence[int], *, rescale: bool) -> None:
        """With inputs gathered: each operand's digits beside the sum so far; what is not turned, lifted."""
        level, switch = min(x.level for x in xs), self.switch
        turned = {id(x) for x, step in zip(xs, steps, strict=True) if step % self.slots}
        if self.placement.aggregates(len(turned), level):
            self._aggregated(level)
            return
        so_far = switch.product(level) if len(turned) > 1 else 0
        self._during(max(so_far + switch.making(level), switch.digits(level) + switch.added(level)))
        if not all(step % self.slots for step in steps):
            self._during(switch.product(level) + 2 * self._rows(level))
        self._during(switch.divided_rescale(level) if rescale else switch.divided(level))

    def _aggregated(self, level: int) -> None:
        """Own digits and their sum in all limbs; what is not turned."""
        every, rows = level + 1 + len(self.params.p), self._rows(level)
        own = self.placement.own_digits(len(self.params.digits(level)), self.device)
        self._during(2 * every + 2 * rows + rows + len(own) * every + every)

    def _encoded(self, xs: Sequence[Symbol], rows: Sequence[Sequence[SlotVector | None]]) -> None:
        """Results of a sum of products and its plaintexts: periodic ones of all rows in as many limbs as fit
        8 MiB, dense ones of one row in all limbs. The first tells the period of all.
        """
        components, own = xs[0].components, self._rows(min(x.level for x in xs))
        period = next((v.period for row in rows for v in row if v is not None), 1)
        if period < self.slots:
            words = max(1, len(rows) * len(used_columns(rows)) * 2 * period)
            batch = min(own, WEIGHT_WORDS // words + 1)
            self._during(len(rows) * components * own + -(-batch * words // self.degree))
            return
        fitting = max(1, TEMPORARY_BYTES // (max(1, own) * self.degree * RESIDUE_BYTES))
        for row, vectors in enumerate(rows):
            terms = len(vectors) - vectors.count(None)
            partial = 1 + (terms > fitting)
            self._during((row + partial) * components * own + min(terms, fitting) * own)
