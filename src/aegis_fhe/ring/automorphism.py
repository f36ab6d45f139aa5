"""The automorphisms X -> X^g of the ring: rotations and conjugation of the slots."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from aegis_fhe.ring.core import RingCore


class Automorphism(RingCore):
    """p(X) -> p(X^galois) for odd `galois`, taken modulo 2N. 5^r rotates slots left by r; 2N-1 conjugates."""

    def automorphism(self, x: Tensor, galois: int, *, out: Tensor | None = None) -> Tensor:
        """NTT domain: a permutation of the entries, the same for every modulus.

        x: [..., N] -> same shape. `out` must not overlap x. Raises LayoutError for a wrong tensor,
        ParameterError for an even galois element.
        """
        rows = self._check("x", x, (self.degree,))
        element = self._galois(galois)
        result = self._out(x.shape, out, [x])
        self._native.automorphism(x.data_ptr(), result.data_ptr(), rows, element)
        return result

    def automorphism_coefficients(
        self, x: Tensor, galois: int, limbs: Sequence[int], *, out: Tensor | None = None
    ) -> Tensor:
        """Coefficient domain: coefficient i moves to i g mod N, negated when i g mod 2N >= N.

        x: [..., limb, N] in [0, q) -> same shape. `out` must not overlap x. Raises as automorphism.
        """
        index = self.check_limbs(limbs)
        outer = self._check("x", x, (len(index), self.degree))
        element = self._galois(galois)
        result = self._out(x.shape, out, [x])
        self._native.automorphism_coefficients(x.data_ptr(), result.data_ptr(), outer, index, element)
        return result
