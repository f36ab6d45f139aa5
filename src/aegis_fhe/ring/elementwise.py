"""Sums and products entry by entry: the ring operations of polynomials in the NTT domain."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from aegis_fhe.errors import LayoutError
from aegis_fhe.ring.core import RingCore, in_parts

_ADD, _SUB, _MUL = 0, 1, 2


class Elementwise(RingCore):
    """x, y: [..., limb, N] residues in [0, q); results too. y may also be [limb, N], shared by leading axes.

    x, y of three axes may be views of fewer limbs than their memory has: each component contiguous is enough.
    `out` may be x, and y where it has x's shape, but not overlap them otherwise.

    All raise LayoutError for a wrong tensor and ParameterError for unknown limbs.
    """

    def add(self, x: Tensor, y: Tensor, limbs: Sequence[int], *, out: Tensor | None = None) -> Tensor:
        """x + y mod q, either domain (both operands in the same)."""
        return self._binary(_ADD, x, y, limbs, out)

    def sub(self, x: Tensor, y: Tensor, limbs: Sequence[int], *, out: Tensor | None = None) -> Tensor:
        """x - y mod q, either domain (both operands in the same)."""
        return self._binary(_SUB, x, y, limbs, out)

    def mul(self, x: Tensor, y: Tensor, limbs: Sequence[int], *, out: Tensor | None = None) -> Tensor:
        """x y mod q entry by entry: the polynomial product when both are in the NTT domain."""
        return self._binary(_MUL, x, y, limbs, out)

    def neg(self, x: Tensor, limbs: Sequence[int], *, out: Tensor | None = None) -> Tensor:
        """-x mod q, either domain."""
        return self.mul_scalar(x, [-1] * len(limbs), limbs, out=out)

    def mul_scalar(
        self, x: Tensor, scalars: Sequence[int], limbs: Sequence[int], *, out: Tensor | None = None
    ) -> Tensor:
        """scalars[l] x mod q_l, either domain. One integer per limb, of any size and sign, reduced here."""
        if in_parts(x):
            result = self._out(x.shape, out)
            for part, to in zip(x, result, strict=True):
                self.mul_scalar(part, scalars, limbs, out=to)
            return result
        index, outer, reduced = self._scalar_arguments(x, scalars, limbs)
        result = self._out(x.shape, out, may_be=[x])
        self._native.mul_scalar(x.data_ptr(), reduced, result.data_ptr(), outer, index)
        return result

    def add_scalar(
        self, x: Tensor, scalars: Sequence[int], limbs: Sequence[int], *, out: Tensor | None = None
    ) -> Tensor:
        """x + scalars[l] mod q_l in every entry: adds a constant polynomial when x is in the NTT domain."""
        index, outer, reduced = self._scalar_arguments(x, scalars, limbs)
        result = self._out(x.shape, out, may_be=[x])
        self._native.add_scalar(x.data_ptr(), reduced, result.data_ptr(), outer, index)
        return result

    def dot(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], limbs: Sequence[int], *, out: Tensor | None = None
    ) -> Tensor:
        """sum_i xs[i] ys[i] mod q entry by entry, reduced once.

        xs[i]: [..., limb, N]; ys[i]: all of that shape, or all [limb, N]. NTT domain for polynomial products.
        `out` must not overlap an operand when there are several terms. Cost: one product per term and entry.
        """
        index = self.check_limbs(limbs)
        if len(xs) == 0 or len(xs) != len(ys):
            raise LayoutError(f"dot of {len(xs)} and {len(ys)} tensors; equal, non-zero counts are expected")
        shape = tuple(xs[0].shape)
        shared = ys[0].shape != xs[0].shape
        if any(in_parts(x) and x.shape == xs[0].shape for x in (*xs, *ys)):
            result = self._out(shape, out, [*xs, *ys] if len(xs) > 1 or shared else [])
            for i, to in enumerate(result):
                self.dot([x[i] for x in xs], ys if shared else [y[i] for y in ys], limbs, out=to)
            return result
        outer = self._check("xs[0]", xs[0], (len(index), self.degree))
        for i, x in enumerate(xs):
            self._check(f"xs[{i}]", x, shape)
        for i, y in enumerate(ys):
            self._check(f"ys[{i}]", y, shape[-2:] if shared else shape)
            if shared and y.dim() != 2:
                raise LayoutError(f"ys[{i}] has shape {list(y.shape)}; {list(shape)} or [limb, N] expected")
        operands = [*xs, *ys]
        result = self._out(shape, out, *([operands] if len(xs) > 1 or shared else [[], operands]))
        pointers = [x.data_ptr() for x in xs], [y.data_ptr() for y in ys]
        self._native.dot(*pointers, shared, result.data_ptr(), outer, index)
        return result

    def sum(self, xs: Sequence[Tensor], limbs: Sequence[int], *, out: Tensor | None = None) -> Tensor:
        """sum_i xs[i] mod q, either domain (all in the same): two terms or more, each read once.

        xs[i]: all of one shape [..., limb, N]. `out` must not overlap them.
        """
        if len(xs) < 2:
            raise LayoutError(f"a sum of {len(xs)} tensors; two or more are expected")
        shape = tuple(xs[0].shape)
        if any(in_parts(x) and tuple(x.shape) == shape for x in xs):
            result = self._out(shape, out)
            for i, to in enumerate(result):
                self.sum([x[i] for x in xs], limbs, out=to)
            return result
        index = self.check_limbs(limbs)
        outer = self._check("xs[0]", xs[0], (len(index), self.degree))
        for i, x in enumerate(xs):
            self._check(f"xs[{i}]", x, shape)
        result = self._out(shape, out, xs)
        self._native.sum([x.data_ptr() for x in xs], result.data_ptr(), outer, index)
        return result

    def combination(
        self,
        xs: Sequence[Tensor],
        scalars: Sequence[int],
        limbs: Sequence[int],
        *,
        constant: int = 0,
        out: Tensor | None = None,
    ) -> Tensor:
        """sum_i scalars[i] xs[i] mod q, `constant` added to every entry of component 0: each read once.

        xs[i]: [component, limb, N], of different numbers of components; the result has the most. Scalars and
        constant: integers of any size and sign, the same for all limbs. Either domain (all in the same; a
        constant polynomial in the NTT domain). `out` must not overlap them.
        """
        index = self.check_limbs(limbs)
        if not xs or len(xs) != len(scalars):
            raise LayoutError(
                f"{len(scalars)} scalars for {len(xs)} tensors; equal, non-zero counts expected"
            )
        tail = (len(index), self.degree)
        for i, x in enumerate(xs):
            self._check_parts(f"xs[{i}]", x, tail)
        counts = [x.shape[0] for x in xs]
        result = self._out((max(counts), *tail), out, xs)
        moduli = [self.moduli[i] for i in index]
        self._native.combination(
            [x.data_ptr() for x in xs],
            [x.stride(0) for x in xs],
            counts,
            [scalar % q for q in moduli for scalar in scalars],
            [constant % q for q in moduli],
            result.data_ptr(),
            len(result),
            index,
        )
        return result

    def _check_parts(self, name: str, x: Tensor, tail: tuple[int, ...]) -> None:
        """Check [component, *tail], each component contiguous."""
        if x.dim() != 3:
            raise LayoutError(
                f"{name} has shape {list(x.shape)}; [component, {tail[0]}, {tail[1]}] is expected"
            )
        self._check(name, x[0] if in_parts(x) else x, tail)

    def _binary(self, op: int, x: Tensor, y: Tensor, limbs: Sequence[int], out: Tensor | None) -> Tensor:
        shared = y.shape != x.shape
        if in_parts(x) or (in_parts(y) and not shared):
            result = self._out(x.shape, out)
            for i, to in enumerate(result):
                self._binary(op, x[i], y if shared else y[i], limbs, to)
            return result
        index = self.check_limbs(limbs)
        outer = self._check("x", x, (len(index), self.degree))
        self._check("y", y, tuple(x.shape[-2:]) if shared else tuple(x.shape))
        if shared and y.dim() != 2:
            raise LayoutError(f"y has shape {list(y.shape)}; {list(x.shape)} or [limb, N] is expected")
        result = self._out(x.shape, out, *([[y], [x]] if shared else [[], [x, y]]))
        self._native.binary(op, x.data_ptr(), y.data_ptr(), shared, result.data_ptr(), outer, index)
        return result

    def _scalar_arguments(
        self, x: Tensor, scalars: Sequence[int], limbs: Sequence[int]
    ) -> tuple[list[int], int, list[int]]:
        index = self.check_limbs(limbs)
        outer = self._check("x", x, (len(index), self.degree))
        if len(scalars) != len(index):
            raise LayoutError(f"{len(scalars)} scalars for {len(index)} limbs; one per limb is expected")
        return index, outer, [int(s) % self.moduli[i] for s, i in zip(scalars, index, strict=True)]
