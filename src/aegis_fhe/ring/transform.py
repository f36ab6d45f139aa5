"""The negacyclic number-theoretic transform."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from aegis_fhe.ring.core import RingCore


class Transform(RingCore):
    """Coefficient domain <-> NTT domain."""

    def ntt(self, x: Tensor, limbs: Sequence[int], *, out: Tensor | None = None) -> Tensor:
        """Forward transform: out[j] = p(psi^(2 brv(j) + 1)) mod q, entries in bit-reversed order.

        x: [..., limb, N] coefficients in [0, q) -> same shape, NTT domain, in [0, q). Level and scale stay.
        `out` may be x. Cost: (N/2) log2 N products per limb. Raises LayoutError for a wrong tensor,
        ParameterError for unknown limbs. Source: Longa and Naehrig, ePrint 2016/504.
        """
        index = self.check_limbs(limbs)
        outer = self._check("x", x, (len(index), self.degree))
        result = self._out(x.shape, out, may_be=[x])
        self._native.ntt(x.data_ptr(), result.data_ptr(), outer, index)
        return result

    def intt(self, x: Tensor, limbs: Sequence[int], *, out: Tensor | None = None) -> Tensor:
        """Inverse transform: the coefficients in [0, q) of the polynomial with NTT values x.

        x: [..., limb, N] NTT domain, in [0, q) -> same shape, coefficients. `out` may be x. Raises as ntt.
        """
        index = self.check_limbs(limbs)
        outer = self._check("x", x, (len(index), self.degree))
        result = self._out(x.shape, out, may_be=[x])
        self._native.intt(x.data_ptr(), result.data_ptr(), outer, index)
        return result
