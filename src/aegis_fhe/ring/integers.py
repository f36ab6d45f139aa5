"""Between residues and ordinary integers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from aegis_fhe.errors import LayoutError
from aegis_fhe.ring.core import RingCore


class Integers(RingCore):
    """Signed integers in, centred integers out; coefficient domain."""

    def from_signed(self, coeffs: Tensor, limbs: Sequence[int], *, out: Tensor | None = None) -> Tensor:
        """Residues of signed integers: int64 [..., N] of any value -> [..., limb, N] in [0, q).

        coeffs may lie on the host where the ring does not: they are moved. `out` must not overlap coeffs.
        Raises LayoutError for a wrong tensor, ParameterError for unknown limbs.
        """
        index, coeffs = self.check_limbs(limbs), self.place(coeffs)
        outer = self._check("coeffs", coeffs, (self.degree,))
        result = self._out((*coeffs.shape[:-1], len(index), self.degree), out, [coeffs])
        self._native.from_signed(coeffs.data_ptr(), result.data_ptr(), outer, index)
        return result

    def from_signed_ntt(self, coeffs: Tensor, limbs: Sequence[int], *, out: Tensor | None = None) -> Tensor:
        """NTT values of signed integers: ntt(from_signed(coeffs)), each row while it lies in cache.

        int64 [..., N] of any value, coefficient domain -> [..., limb, N] in [0, q), NTT domain. Moved and
        `out` as for from_signed. Raises LayoutError for a wrong tensor, ParameterError for unknown limbs.
        """
        index, coeffs = self.check_limbs(limbs), self.place(coeffs)
        outer = self._check("coeffs", coeffs, (self.degree,))
        result = self._out((*coeffs.shape[:-1], len(index), self.degree), out, [coeffs])
        self._native.from_signed_ntt(coeffs.data_ptr(), result.data_ptr(), outer, index)
        return result

    def to_centred_float(self, x: Tensor, limbs: Sequence[int]) -> Tensor:
        """The integers |v| < Q/2 with residues x, each rounded once to float64 (exact to 53 bits).

        x: [limb, N] coefficient domain, at most 3 limbs -> float64 [N], on the host. Raises LayoutError.
        """
        index, host, x = self.check_limbs(limbs), self.host, x.cpu()
        if len(index) > 3 or x.dim() != 2:
            raise LayoutError(f"x has shape {list(x.shape)}; [limb, N] with at most 3 limbs is expected")
        host._check("x", x, (len(index), self.degree))
        result = torch.empty(self.degree, dtype=torch.float64)
        host._native.to_centred_double(x.data_ptr(), result.data_ptr(), index)
        return result

    def to_integers(self, x: Tensor, limbs: Sequence[int]) -> list[int]:
        """The integers |v| < Q/2 with residues x: [limb, N] coefficient domain -> N Python integers. Slow.

        Raises LayoutError for a wrong tensor.
        """
        index = self.check_limbs(limbs)
        if x.dim() != 2:
            raise LayoutError(f"x has shape {list(x.shape)}; [limb, N] is expected")
        self._check("x", x, (len(index), self.degree))
        moduli = [self.moduli[i] for i in index]
        product = math.prod(moduli)
        factors = [product // q * pow(product // q, -1, q) for q in moduli]
        columns = zip(*x.tolist(), strict=True)
        values = [sum(f * r for f, r in zip(factors, column, strict=True)) for column in columns]
        return [(v + product // 2) % product - product // 2 for v in values]
