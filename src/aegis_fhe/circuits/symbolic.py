"""The symbolic interpreter: every value is its level, its scale and its number of components.

It refuses what the encrypted run would refuse, before any key exists, and counts what it will cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.one_by_one import OneByOne
from aegis_fhe.ckks.key_request import CONJUGATION, FROM_SPARSE, RELINEARISATION, TO_SPARSE
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import CompatibilityError, LayoutError, LevelError, ScaleError

SCALE_TOLERANCE = 2.0**-30
# The largest message, in bits above the scale, that a ciphertext must be able to hold.
HEADROOM_BITS = 4.0


@dataclass(unsafe_hash=True, slots=True)
class Symbol:
    """What is known of a ciphertext without its data; never changed.

    Plans make millions: frozen ones would take three times as long. held: lives as long as the symbol.
    """

    level: int
    scale: float
    components: int = 2
    held: object = field(default=None, compare=False, repr=False)

    def copy(self) -> Symbol:
        """Another object, equal, which holds nothing."""
        return self.like(self.level, self.scale, self.components)

    def like(self, level: int, scale: float, components: int) -> Symbol:
        """What becomes of it where only these change."""
        return Symbol(level, scale, components)


class SymbolicBackend(OneByOne):
    """Levels and scales over a modulus chain, with operation counts. Implements `circuits.Backend`.

    A result is another object than its operands, as ciphertexts are: sums of rotations count their sources.
    """

    def __init__(self, moduli: Sequence[int], slots: int) -> None:
        self._moduli = tuple(moduli)
        self._slots = slots
        self._log_q = [0.0]
        for q in moduli:
            self._log_q.append(self._log_q[-1] + math.log2(q))
        self.counts = OperationCounts()

    def repeated(self, circuit: Hashable, x: Symbol, run: Callable[[Symbol], Symbol]) -> Symbol:
        """run(x), which does the same for every equal x. circuit: its name among those of this interpreter.

        An interpreter that only plans may look at it once and note down the same again.
        """
        return run(x)

    @property
    def slots(self) -> int:
        """N / 2."""
        return self._slots

    @property
    def moduli(self) -> tuple[int, ...]:
        """q_0 ... q_L."""
        return self._moduli

    def level(self, x: Symbol) -> int:
        """Rescalings left."""
        return x.level

    def scale(self, x: Symbol) -> float:
        """Nominal scale."""
        return x.scale

    def add(self, x: Symbol, y: Symbol) -> Symbol:
        """Lower level, more components; refuses unequal scales."""
        self._same_scale([x, y])
        level = min(x.level, y.level)
        self.counts.add("add", level)
        return Symbol(level, x.scale, max(x.components, y.components))

    def sum(self, xs: Sequence[Symbol]) -> Symbol:
        """As add: one of two terms, and an addend for each further one."""
        if not xs or len({x.components for x in xs}) > 1:
            raise CompatibilityError(
                f"a sum of {[x.components for x in xs]} components: equal ones are expected"
            )
        first = xs[0]
        if len(xs) == 1:
            return first
        self._same_scale(xs)
        level = min(x.level for x in xs)
        self.counts.add("add", level)
        self.counts.add("addend", level, (len(xs) - 2) * first.components / 2)
        return Symbol(level, first.scale, first.components)

    def sub(self, x: Symbol, y: Symbol) -> Symbol:
        """As add."""
        return self.add(x, y)

    def negate(self, x: Symbol) -> Symbol:
        """Unchanged."""
        self.counts.add("add", x.level)
        return x.copy()

    def add_plain(self, x: Symbol, v: SlotVector) -> Symbol:
        """Unchanged."""
        self._fits(v)
        self.counts.add("plain add", x.level)
        return x.copy()

    def add_scalar(self, x: Symbol, c: float) -> Symbol:
        """Unchanged."""
        self.counts.add("add", x.level)
        return x.copy()

    def mul_plain(self, x: Symbol, v: SlotVector, scale: float) -> Symbol:
        """Scales multiply."""
        self._fits(v)
        self.counts.add("plain product", x.level)
        return self._scaled(x, x.scale * scale)

    def mul_plain_sums(
        self, xs: Sequence[Symbol], rows: Sequence[Sequence[SlotVector | None]], scale: float
    ) -> list[Symbol]:
        """One plain product for each plaintext that is not zero."""
        self._same_scale(xs)
        level = min(x.level for x in xs)
        products = sum(plain is not None for row in rows for plain in row)
        self.counts.add("plain product", level, products)
        first = xs[0]
        return [self._scaled(Symbol(level, 1.0, first.components), first.scale * scale) for _ in rows]

    def mul_scalar(self, x: Symbol, c: float, scale: float) -> Symbol:
        """Scales multiply."""
        self._keeps_digits(scale)
        self.counts.add("scalar product", x.level)
        return self._scaled(x, x.scale * scale)

    def mul_integer(self, x: Symbol, m: int) -> Symbol:
        """Unchanged."""
        self.counts.add("add", x.level)
        return x.copy()

    def linear_combination(
        self,
        xs: Sequence[Symbol],
        coefficients: Sequence[float],
        scale: float,
        *,
        constant: float = 0.0,
        onto: Symbol | None = None,
    ) -> Symbol:
        """A term for two components of each operand; a constant costs nothing."""
        self._same_length(xs, coefficients)
        for x in xs:
            self._keeps_digits(scale / x.scale)
        operands = xs if onto is None else [*xs, onto]
        level, components = min(x.level for x in operands), max(x.components for x in operands)
        found = self._scaled(Symbol(level, 1.0, components), xs[0].scale * (scale / xs[0].scale))
        if onto is not None:
            self._same_scale([onto, found])
            found = found.like(level, onto.scale, components)
        self.counts.add("scalar term", level, sum(x.components for x in operands) / 2)
        return found

    def mul_i(self, x: Symbol) -> Symbol:
        """Unchanged."""
        self.counts.add("add", x.level)
        return x.copy()

    def multiply(self, x: Symbol, y: Symbol) -> Symbol:
        """Three components; scales multiply."""
        return self.multiply_sum([x], [y])

    def multiply_sum(self, xs: Sequence[Symbol], ys: Sequence[Symbol], onto: Symbol | None = None) -> Symbol:
        """Three components; scales multiply. What they are added to is an addend and a half."""
        self._same_length(xs, ys)
        level = min(self._factors(xs), self._factors(ys))
        if onto is not None:
            level = min(level, onto.level)
        self.counts.add("product", level, len(xs))
        found = self._scaled(Symbol(level, 1.0, 3), xs[0].scale * ys[0].scale)
        if onto is not None:
            if onto.components != 3:
                raise CompatibilityError(f"products cannot be added to {onto.components} components")
            self._same_scale([onto, found])
            self.counts.add("addend", level, 3 / 2)
        return found

    def relinearize(self, x: Symbol) -> Symbol:
        """Two components; one key switch when there were three."""
        if x.components == 2:
            return x
        self.counts.key_switch(RELINEARISATION, x.level)
        return x.like(x.level, x.scale, 2)

    def rescale(self, x: Symbol) -> Symbol:
        """One level down."""
        lower = self._rescaled(x)
        self.counts.add("rescale", x.level, x.components / 2)
        return lower

    def relinearize_rescale(self, x: Symbol) -> Symbol:
        """Two components, one level down; the rescaling comes with the key switch."""
        return self._rescaled(self.relinearize(x)) if x.components == 3 else self.rescale(x)

    def drop_to(self, x: Symbol, level: int) -> Symbol:
        """Fewer limbs, free."""
        if not 0 <= level <= x.level:
            raise LevelError(f"cannot drop from level {x.level} to level {level}")
        return x.like(level, x.scale, x.components)

    def rotate(self, x: Symbol, step: int) -> Symbol:
        """One rotation."""
        return self.rotate_many(x, [step])[0]

    def rotate_many(self, x: Symbol, steps: Sequence[int]) -> list[Symbol]:
        """One hoisted ModUp, a rotation for each step that is not zero."""
        self._two_components(x)
        moving = [step % self._slots for step in steps if step % self._slots]
        if moving:
            self.counts.add("mod up", x.level)
            self.counts.hoisted_rotations(moving, x.level)
        return [x.copy() if step % self._slots else x for step in steps]

    def rotate_sum(self, xs: Sequence[Symbol], steps: Sequence[int]) -> Symbol:
        """An inner product for each step that is not zero, one ModDown."""
        self._same_length(xs, steps)
        level = self._factors(xs)
        moved = {id(x) for x, step in zip(xs, steps, strict=True) if step % self._slots}
        moving = [step % self._slots for step in steps if step % self._slots]
        self.counts.add("mod up", level, len(moved))
        if moving:
            self.counts.accumulated_rotations(moving, level)
            self.counts.add("mod down", level)
        self.counts.add("add", level, len(xs) - 1)
        return Symbol(level, xs[0].scale)

    def rotate_sum_rescale(self, xs: Sequence[Symbol], steps: Sequence[int]) -> Symbol:
        """As rotate_sum, one level down; the rescaling comes with the ModDown, where there is one."""
        total = self.rotate_sum(xs, steps)
        moved = any(step % self._slots for step in steps)
        return self._rescaled(total) if moved else self.rescale(total)

    def conjugate(self, x: Symbol) -> Symbol:
        """One key switch."""
        self._two_components(x)
        self.counts.key_switch(CONJUGATION, x.level)
        return x.copy()

    def raise_modulus(self, x: Symbol) -> Symbol:
        """Level 0 -> the highest; two key switches, and one bootstrap counted."""
        self._two_components(x)
        if x.level != 0:
            raise LevelError(f"the modulus is raised from level 0, not from level {x.level}: drop it first")
        top = len(self._moduli) - 1
        self.counts.key_switch(TO_SPARSE, 0)
        self.counts.key_switch(FROM_SPARSE, top)
        self.counts.add("bootstrap", top)
        return x.like(top, x.scale, x.components)

    def with_scale(self, x: Symbol, scale: float) -> Symbol:
        """Another reading of the same integers."""
        return x.like(x.level, scale, x.components)

    def _rescaled(self, x: Symbol) -> Symbol:
        if x.level == 0:
            raise LevelError("no level is left to rescale: give the program more levels")
        return self._scaled(x.like(x.level - 1, x.scale, x.components), x.scale / self._moduli[x.level])

    def _scaled(self, x: Symbol, scale: float) -> Symbol:
        if math.log2(scale) + HEADROOM_BITS > self._log_q[x.level + 1]:
            raise ScaleError(
                f"scale 2^{math.log2(scale):.1f} leaves no room for a message under the "
                f"{self._log_q[x.level + 1]:.0f} bits of level {x.level}"
            )
        return x.like(x.level, scale, x.components)

    def _factors(self, xs: Sequence[Symbol]) -> int:
        """The lowest level of relinearised values of one scale."""
        first = xs[0]
        level, scale = first.level, first.scale
        for x in xs:
            if x.components != 2 or x.scale != scale:
                self._two_components(x)
                self._same_scale([first, x])
            if x.level < level:
                level = x.level
        return level

    def _same_scale(self, xs: Sequence[Symbol]) -> None:
        first = xs[0].scale
        for x in xs:
            if x.scale != first and abs(x.scale / first - 1.0) > SCALE_TOLERANCE:
                raise ScaleError(
                    f"scales 2^{math.log2(xs[0].scale):.6f} and 2^{math.log2(x.scale):.6f} cannot be added"
                )

    def _keeps_digits(self, scale: float) -> None:
        if scale < 1.0:
            raise ScaleError(f"a constant would be encoded at scale {scale:.3g} < 1 and lose all its digits")

    def _fits(self, v: SlotVector) -> None:
        if self._slots % v.period:
            raise LayoutError(f"a vector of period {v.period} does not fit {self._slots} slots")

    def _same_length(self, xs: Sequence[object], ys: Sequence[object]) -> None:
        if not xs or len(xs) != len(ys):
            raise CompatibilityError(f"expected pairs, got {len(xs)} and {len(ys)} operands")

    def _two_components(self, x: Symbol) -> None:
        if x.components != 2:
            raise LevelError("a product must be relinearised before it is rotated or multiplied")
