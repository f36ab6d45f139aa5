"""Polynomials in X^(N/M): M coefficients, M distinct NTT values, each for N/M consecutive entries."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from aegis_fhe.errors import LayoutError
from aegis_fhe.ring.arena import Arena
from aegis_fhe.ring.core import in_parts
from aegis_fhe.ring.integers import Integers
from aegis_fhe.ring.transform import Transform


class Periodic(Integers, Transform):
    """Compressed plaintexts: entry j of the full NTT is value[j >> (log2 N - log2 M)], M a power of two."""

    def __init__(
        self, degree: int, moduli: Sequence[int], path: str | None = None, *, arena: Arena | None = None
    ) -> None:
        super().__init__(degree, moduli, path, arena=arena)
        self._smaller: dict[int, Periodic] = {}

    def periodic_ntt(self, coeffs: Tensor, limbs: Sequence[int]) -> Tensor:
        """NTT values of K polynomials in X^(N/M): signed int64 [K, M] -> [K, limb, M] in [0, q).

        It is the transform of degree M with psi^(N/M). Cost: (M/2) log2 M products per limb and polynomial.
        Raises LayoutError for a wrong tensor, ParameterError for unknown limbs.
        """
        index = self.check_limbs(limbs)
        if coeffs.dim() != 2:
            raise LayoutError(f"coeffs has shape {list(coeffs.shape)}; [K, M] is expected")
        return self._ring_of_degree(self._period(coeffs)).from_signed_ntt(coeffs, index)

    def periodic_expand(self, values: Tensor) -> Tensor:
        """All N entries of periodic NTT values: [..., M] -> [..., N]. Raises LayoutError."""
        period = self._period(values)
        out = self.arena.empty((*values.shape[:-1], period, self.degree // period))
        return out.copy_(values.unsqueeze(-1).expand_as(out)).reshape(*values.shape[:-1], self.degree)

    def periodic_dot(
        self, xs: Sequence[Tensor], weights: Tensor, limbs: Sequence[int], *, out: Tensor | None = None
    ) -> Tensor:
        """Modular matrix product: out[r, c, l, j] = sum_b weights[r, b, l, j >> s] xs[b][c, l, j].

        s = log2(N/M). xs: B tensors [c, limb, N], each component contiguous; weights [R, B, limb, M]; all NTT
        domain in [0, q) -> [R, c, limb, N] in [0, q). Level unchanged, scale: product of the scales. `out`
        must not overlap xs.
        Cost: R B c products per entry.
        Raises LayoutError for wrong tensors, ParameterError for unknown limbs.
        """
        index, pointers, components = self._factors(xs, limbs)
        period = self._period(weights)
        rows = self._check("weights", weights, (len(xs), len(index), period))
        if weights.dim() != 4:
            raise LayoutError(f"weights has shape {list(weights.shape)}; [R, B, limb, M] is expected")
        result = self._out((rows, components, len(index), self.degree), out, [*xs, weights])
        log_m = period.bit_length() - 1
        self._native.periodic_dot(
            pointers, weights.data_ptr(), log_m, result.data_ptr(), rows, components, index
        )
        return result

    def periodic_sums(self, xs: Sequence[Tensor], coefficients: Tensor, limbs: Sequence[int]) -> list[Tensor]:
        """`periodic_dot` by signed coefficients [R, B, M]; each row has memory of its own.

        They are moved where the ring's tensors lie, and transformed as many limbs at a time as fit 8 MiB, and
        one more; each x is read once. Cost: besides the products one transform of degree M for each weight
        and limb. Raises as periodic_dot.
        """
        index, pointers, components = self._factors(xs, limbs)
        period, coefficients = self._period(coefficients), self.place(coefficients)
        rows = self._check("coefficients", coefficients, (len(xs), period))
        if coefficients.dim() != 3:
            raise LayoutError(f"coefficients has shape {list(coefficients.shape)}; [R, B, M] is expected")
        result = [self.arena.empty((components, len(index), self.degree)) for _ in range(rows)]
        small, to = self._ring_of_degree(period)._native, [x.data_ptr() for x in result]
        self._native.periodic_sums(pointers, coefficients.data_ptr(), small, to, components, index)
        return result

    def _factors(self, xs: Sequence[Tensor], limbs: Sequence[int]) -> tuple[list[int], list[int], int]:
        """Limbs, addresses of all components, and how many components each factor has."""
        index = self.check_limbs(limbs)
        if len(xs) == 0 or xs[0].dim() != 3:
            raise LayoutError("periodic products need at least one tensor [c, limb, N]")
        components = xs[0].shape[0]
        for b, x in enumerate(xs):
            if in_parts(x) and x.shape[0] == components:
                self._check(f"xs[{b}][0]", x[0], (len(index), self.degree))
            else:
                self._check(f"xs[{b}]", x, (components, len(index), self.degree))
        pointers = [x.data_ptr() + c * x.stride(0) * 8 for x in xs for c in range(components)]
        return index, pointers, components

    def _period(self, values: Tensor) -> int:
        period = int(values.shape[-1]) if values.dim() else 0
        if period < 1 or period & (period - 1) or period > self.degree:
            raise LayoutError(f"period axis of {period}; a power of two up to {self.degree} is expected")
        return period

    def _ring_of_degree(self, degree: int) -> Periodic:
        """The ring of degree M <= N over the same moduli: its psi is psi^(N/M), see primes.root_of_unity."""
        small = self._smaller.get(degree)
        if small is None:  # two threads may build it twice; one of them stays
            small = self._smaller.setdefault(
                degree, Periodic(degree, self.moduli, self.path, arena=self.arena)
            )
        return small
