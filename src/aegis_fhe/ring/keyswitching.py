"""The steps of a hybrid key switch on residues: digits in an extended basis, and their product with a key.

The third step, the division by the special primes, is `BasisConversion.mod_down`. What follows a step is
done to a row while it is in cache: sums here, the automorphism there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from torch import Tensor

from aegis_fhe.errors import LayoutError, ParameterError
from aegis_fhe.ring.core import RingCore

_Key: TypeAlias = tuple[int, int, int, list[int], list[int], list[int]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Digits:
    """A polynomial cut into runs of limbs, each run extended to all limbs.

    d: [q limb, N], the polynomial, whose rows are the digits' own; extended: the converted rows, digit by
    digit in the order of `limbs` without the digit's own, [sum of (limbs - own), N]. ends: first row after
    each digit. NTT domain, in [0, q).
    """

    d: Tensor
    extended: Tensor
    ends: tuple[int, ...]
    limbs: tuple[int, ...]

    @classmethod
    def of_rows(cls, rows: Tensor, q_rows: int, limbs: Sequence[int]) -> Digits:
        """Digits of any limbs, every row of every digit written out: [digit, limb, N], contiguous.

        The first digit counts as a run of all `q_rows` rows in Q, the others as runs of none.
        """
        count, flat = rows.shape[0], rows.view(-1, rows.shape[-1])
        return cls(d=flat[:q_rows], extended=flat[q_rows:], ends=(q_rows,) * count, limbs=tuple(limbs))


class SwitchOperand(NamedTuple):
    """Digits of a polynomial, and what joins their product with a key: nothing, or one or both components."""

    digits: Digits
    addends: Sequence[Tensor] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyHalves:
    """Both halves of a key: int64 [digit, limb, N], NTT domain, for the limbs of a level or a higher one."""

    b: Tensor
    a: Tensor


class KeySwitching(RingCore):
    """ModUp and inner products. NTT domain, residues in [0, q); N at least 8."""

    def mod_up(self, d: Tensor, ends: Sequence[int], limbs: Sequence[int]) -> Digits:
        """`mod_up_each` of one polynomial."""
        return self.mod_up_each([d], ends, limbs)[0]

    def mod_up_each(self, ds: Sequence[Tensor], ends: Sequence[int], limbs: Sequence[int]) -> list[Digits]:
        """Digit j is the centred value of d modulo the primes of its run, in all `limbs`: of each d.

        d: [q limb, N] over the first of `limbs`; ends: the first row after each digit, ascending, the last
        one the number of rows of d. A GPU takes them together. Cost of each: one inverse NTT for each row of
        d, a basis conversion for each digit, one forward NTT for each converted row. Raises LayoutError,
        ParameterError.
        """
        index = self._digit_limbs(ends, limbs)
        if len(set(ends)) != len(ends) or ends[0] == 0:
            raise ParameterError(f"digits ending at {list(ends)} do not divide rows: each must have one")
        for d in ds:
            self._check_polynomial("d", d, ends[-1])
        rows = len(ends) * len(index) - ends[-1]
        extended = [self.arena.empty((rows, self.degree)) for _ in ds]
        if rows:
            to = [x.data_ptr() for x in extended]
            self._native.mod_up([d.data_ptr() for d in ds], to, list(ends), index)
        return [
            Digits(d=d, extended=x, ends=tuple(ends), limbs=tuple(index))
            for d, x in zip(ds, extended, strict=True)
        ]

    def key_product(
        self, digits: Digits, key: KeyHalves, addends: Sequence[Tensor] = (), factor: int = 1
    ) -> Tensor:
        """(sum_j d_j b_j + factor addend_0, sum_j d_j a_j + factor addend_1): int64 [2, limb, N].

        addends: for none, the first or both components, [q limb, N] each; the limbs after those get no part
        of it. Rows of the key for levels above that of d, and digits beyond those of d, are skipped. Cost:
        two products for each digit and entry. Raises LayoutError, ParameterError.
        """
        job = self._job([SwitchOperand(digits, addends)], key, factor)
        out = self.arena.empty((2, len(digits.limbs), self.degree))
        self._native.key_product(*job, [out.data_ptr()])
        return out

    def switch_key(
        self,
        operands: Sequence[SwitchOperand],
        key: KeyHalves,
        keep: int,
        *,
        factor: int = 1,
        galois: int = 1,
    ) -> list[Tensor]:
        """Of each operand `mod_down(key_product(...), limbs[:keep], limbs[keep:], galois)`: [2, keep, N].

        operands: of the same limbs and digits; the key is read once for four of them. Bit for bit as one by
        one. Raises LayoutError, ParameterError as both.
        """
        job, element = self._job(operands, key, factor), self._galois(galois)
        limbs = operands[0].digits.limbs
        if not 0 <= keep < len(limbs):
            raise ParameterError(f"{keep} of {len(limbs)} limbs to keep: one or more must be divided out")
        results = [self.arena.empty((2, keep, self.degree)) for _ in operands]
        if keep:
            self._native.switch_key(*job, keep, element, [out.data_ptr() for out in results])
        return results

    def add_key_product(
        self,
        total: Tensor | None,
        digits: Digits,
        key: KeyHalves,
        galois: int,
        addends: Sequence[Tensor] = (),
        factor: int = 1,
    ) -> Tensor:
        """total + the automorphism X -> X^galois of `key_product`, in the memory of total where there is one.

        total: [2, limb, N] or None for zero; it must not overlap an operand. Raises LayoutError and
        ParameterError, also for an even element.
        """
        job, element = self._job([SwitchOperand(digits, addends)], key, factor), self._galois(galois)
        operands = [digits.d, digits.extended, key.b, key.a, *addends]
        out = self._out((2, len(digits.limbs), self.degree), total, operands)
        self._native.add_key_product(*job, element, total is None, out.data_ptr())
        return out

    def _digit_limbs(self, ends: Sequence[int], limbs: Sequence[int]) -> list[int]:
        """The limbs as a list; raise ParameterError unless `ends` cut a run of the first ones into digits."""
        index, bounds = self.check_limbs(limbs), [0, *ends]
        ascending = len(bounds) > 1 and bounds == sorted(bounds)
        if len(set(index)) != len(index) or not ascending or bounds[-1] > len(index):
            raise ParameterError(f"digits ending at {list(ends)} do not divide the first of limbs {index}")
        return index

    def _check_polynomial(self, name: str, x: Tensor, rows: int) -> None:
        self._check(name, x, (rows, self.degree))
        if x.dim() != 2:
            raise LayoutError(f"{name} has shape {list(x.shape)}; [limb, N] is expected")

    def _job(
        self, operands: Sequence[SwitchOperand], key: KeyHalves, factor: int
    ) -> tuple[list[tuple[int, int, list[int]]], _Key]:
        """Operands and key as the native calls take them."""
        if self.degree < 8:
            raise ParameterError(f"key switching needs a degree of 8 or more, not {self.degree}")
        if not operands:
            raise LayoutError("no operand given: a key multiplies one or more")
        digits = operands[0].digits
        limbs = self._digit_limbs(digits.ends, digits.limbs)
        taken = [self._operand(operand, digits, len(limbs)) for operand in operands]
        shape = tuple(key.b.shape)
        enough = len(shape) == 3 and shape[0] >= len(digits.ends) and shape[1] >= len(limbs)
        if not enough or shape[2] != self.degree:
            raise LayoutError(
                f"a key of shape {list(shape)} for {len(digits.ends)} digits of {len(limbs)} limbs; at least "
                f"[{len(digits.ends)}, {len(limbs)}, {self.degree}] is expected"
            )
        for name, half in (("b", key.b), ("a", key.a)):
            self._check(name, half, shape)
        factors = [factor % self.moduli[limb] for limb in limbs[: digits.ends[-1]]]
        return taken, (key.b.data_ptr(), key.a.data_ptr(), shape[1], list(digits.ends), limbs, factors)

    def _operand(self, operand: SwitchOperand, like: Digits, rows: int) -> tuple[int, int, list[int]]:
        digits, addends = operand.digits, operand.addends
        if (digits.ends, digits.limbs) != (like.ends, like.limbs):
            raise LayoutError(
                f"digits ending at {list(digits.ends)} of {len(digits.limbs)} limbs beside ones ending at "
                f"{list(like.ends)} of {len(like.limbs)}: one key multiplies equal ones"
            )
        q_rows = digits.ends[-1]
        self._check_polynomial("d", digits.d, q_rows)
        self._check_polynomial("extended", digits.extended, len(digits.ends) * rows - q_rows)
        if len(addends) > 2:
            raise LayoutError(f"{len(addends)} addends given; at most one for each of 2 components")
        for i, addend in enumerate(addends):
            self._check_polynomial(f"addends[{i}]", addend, q_rows)
        return digits.d.data_ptr(), digits.extended.data_ptr(), [x.data_ptr() for x in addends]
