"""Exact, centred conversion between sets of moduli, and the division that rests on it.

Source of the residue formulas: Bajard et al., ePrint 2016/510; Halevi, Polyakov and Shoup, ePrint 2018/117.
Those leave an overflow or a rounding error; here the overflow count is exact, so results do not depend on
summation order.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from aegis_fhe.errors import ParameterError
from aegis_fhe.ring.core import RingCore, in_parts


class BasisConversion(RingCore):
    """Operations that couple the limbs of one polynomial."""

    def convert(
        self, x: Tensor, src: Sequence[int], dst: Sequence[int], *, out: Tensor | None = None
    ) -> Tensor:
        """The centred representative of x modulo Q = prod q_src, reduced modulo every prime of dst.

        y_i = [x_i (Q/q_i)^-1]_{q_i}, v = round(sum_i y_i/q_i) exactly, out_j = sum_i y_i Q/q_i - v Q mod p_j.
        Coefficient domain, x: [..., len(src), N] in [0, q) -> [..., len(dst), N], of an integer |x| < Q/2.
        Commutes with every automorphism. `out` must not overlap x. Cost: len(src) len(dst) N products.
        Raises LayoutError for a wrong tensor, ParameterError for unknown or repeated limbs.
        """
        source, target = self._distinct(src), self.check_limbs(dst)
        outer = self._check("x", x, (len(source), self.degree))
        result = self._out((*x.shape[:-2], len(target), self.degree), out, [x])
        self._native.convert(x.data_ptr(), result.data_ptr(), outer, source, target)
        return result

    def mod_down(
        self,
        x: Tensor,
        keep: Sequence[int],
        drop: Sequence[int],
        *,
        galois: int = 1,
        out: Tensor | None = None,
    ) -> Tensor:
        """Division by P = prod q_drop with rounding: (x - c) / P where c = x mod P is centred, |c| < P/2.

        That is round(x / P) for the integer x, then X -> X^galois (odd; 1 where N is less than 8). NTT
        domain: [..., len(keep) + len(drop), N] (dropped limbs last; contiguous components are enough) ->
        [..., len(keep), N] in [0, q). Scale: divided by P. With one dropped limb it is the rescale. `out`
        must not overlap x. Cost: len(drop) inverse and len(keep) forward transforms and one conversion.
        Raises LayoutError for a wrong tensor, ParameterError for unknown or repeated limbs, an even element.
        """
        if in_parts(x):
            result = self._out((x.shape[0], len(keep), self.degree), out, [x])
            for part, to in zip(x, result, strict=True):
                self.mod_down(part, keep, drop, galois=galois, out=to)
            return result
        element = self._galois(galois)
        if element != 1 and self.degree < 8:
            raise ParameterError(
                f"an automorphism with the division needs a degree of 8 or more, not {self.degree}"
            )
        kept, dropped = self.check_limbs(keep), self._distinct(drop)
        self._distinct([*kept, *dropped])
        outer = self._check("x", x, (len(kept) + len(dropped), self.degree))
        result = self._out((*x.shape[:-2], len(kept), self.degree), out, [x])
        self._native.mod_down(x.data_ptr(), result.data_ptr(), outer, kept, dropped, element)
        return result

    def _distinct(self, limbs: Sequence[int]) -> list[int]:
        index = self.check_limbs(limbs)
        if not index:
            raise ParameterError("no limbs given: a value is converted from one modulus or more")
        if len(set(index)) != len(index):
            raise ParameterError(f"limbs {index} repeat; each modulus may occur once")
        return index
