"""The steps of a hybrid key switch on residues: digits in an extended basis, and their product with a key.

The third step, the division by the special primes, is `BasisConversion.mod_down`. What follows a step is
done to a row while it is in cache: sums here, the automorphism there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from aegis_fhe.errors import LayoutError, ParameterError
from aegis_fhe.ring.core import RingCore


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


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyHalves:
    """Both halves of a key: int64 [digit, limb, N], NTT domain, for the limbs of a level or a higher one."""

    b: Tensor
    a: Tensor


class KeySwitching(RingCore):
    """ModUp and inner products. NTT domain, residues in [0, q); N at least 8."""

    def mod_up(self, d: Tensor, ends: Sequence[int], limbs: Sequence[int]) -> Digits:
        """Digit j is the centred value of d modulo the primes of its run, in all `limbs`.

        d: [q limb, N] over the first of `limbs`; ends: the first row after each digit, ascending, the last
        one the number of rows of d. Cost: one inverse NTT for each row of d, a basis conversion for each
        digit, one forward NTT for each converted row. Raises LayoutError, ParameterError.
        """
        index = self._digit_limbs(ends, limbs)
        if len(set(ends)) != len(ends) or ends[0] == 0:
            raise ParameterError(f"digits ending at {list(ends)} do not divide rows: each must have one")
        self._check_polynomial("d", d, ends[-1])
        rows = len(ends) * len(index) - ends[-1]
        extended = self.arena.empty((rows, self.degree))
        if rows:
            self._native.mod_up(d.data_ptr(), extended.data_ptr(), list(ends), index)
        return Digits(d=d, extended=extended, ends=tuple(ends), limbs=tuple(index))

    def key_product(
        self, digits: Digits, key: KeyHalves, addends: Sequence[Tensor] = (), factor: int = 1
    ) -> Tensor:
        """(sum_j d_j b_j + factor addend_0, sum_j d_j a_j + factor addend_1): int64 [2, limb, N].

        addends: for none, the first or both components, [q limb, N] each; the limbs after those get no part
        of it. Rows of the key for levels above that of d, and digits beyond those of d, are skipped. Cost:
        two products for each digit and entry. Raises LayoutError, ParameterError.
        """
        out = self.arena.empty((2, len(digits.limbs), self.degree))
        self._native.key_product(*self._job(digits, key, addends, factor), out.data_ptr())
        return out

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
        job, element = self._job(digits, key, addends, factor), self._galois(galois)
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
        self, digits: Digits, key: KeyHalves, addends: Sequence[Tensor], factor: int
    ) -> tuple[int, int, int, int, int, list[int], list[int], list[int], list[int]]:
        if self.degree < 8:
            raise ParameterError(f"key switching needs a degree of 8 or more, not {self.degree}")
        limbs = self._digit_limbs(digits.ends, digits.limbs)
        q_rows, shape = digits.ends[-1], tuple(key.b.shape)
        enough = len(shape) == 3 and shape[0] >= len(digits.ends) and shape[1] >= len(limbs)
        if not enough or shape[2] != self.degree:
            raise LayoutError(
                f"a key of shape {list(shape)} for {len(digits.ends)} digits of {len(limbs)} limbs; at least "
                f"[{len(digits.ends)}, {len(limbs)}, {self.degree}] is expected"
            )
        for name, half in (("b", key.b), ("a", key.a)):
            self._check(name, half, shape)
        self._check_polynomial("d", digits.d, q_rows)
        self._check_polynomial("extended", digits.extended, len(digits.ends) * len(limbs) - q_rows)
        if len(addends) > 2:
            raise LayoutError(f"{len(addends)} addends given; at most one for each of 2 components")
        for i, addend in enumerate(addends):
            self._check_polynomial(f"addends[{i}]", addend, q_rows)
        factors = [factor % self.moduli[limb] for limb in limbs[:q_rows]]
        return (
            digits.d.data_ptr(),
            digits.extended.data_ptr(),
            key.b.data_ptr(),
            key.a.data_ptr(),
            shape[1],
            list(digits.ends),
            limbs,
            [x.data_ptr() for x in addends],
            factors,
        )
