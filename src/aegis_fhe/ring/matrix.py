"""Matrix products of ciphertexts by ciphertexts, entry by entry of the NTT domain."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from aegis_fhe.errors import LayoutError
from aegis_fhe.ring.core import RingCore


class MatrixProduct(RingCore):
    """The engine under attention; `Periodic.periodic_dot` is the one under linear layers."""

    def tensor_product(
        self,
        xs: Sequence[Sequence[Tensor]],
        ys: Sequence[Sequence[Tensor]],
        limbs: Sequence[int],
        onto: Sequence[Sequence[Tensor]] = (),
    ) -> list[list[Tensor]]:
        """out[r, s] = onto[r][s] + sum_b xs[r][b] (x) ys[b][s],

        x (x) y = (x_0 y_0, x_0 y_1 + x_1 y_0, x_1 y_1). onto: R rows of S tensors, each [3, limb, N] with
        contiguous components, NTT domain in [0, q), read once; none for zero. xs: R rows of B tensors, ys: B
        rows of S tensors, each [2, limb, N], else as onto -> R rows of S tensors [3, limb, N] in [0, q), each
        with memory of its own, every sum reduced once. Scale: that of a product.
        Cost: 4 R S B products per entry; each operand is read from memory once where R B + B S runs of them
        fit the cache. Raises LayoutError for wrong tensors or ragged rows, ParameterError for unknown limbs.
        """
        index = self.check_limbs(limbs)
        rows, terms, columns = len(xs), len(ys), len(ys[0]) if ys else 0
        if not (rows and terms and columns):
            raise LayoutError("a matrix product needs at least one row, one term and one column")
        if any(len(row) != terms for row in xs) or any(len(row) != columns for row in ys):
            raise LayoutError(
                f"factors of {[len(row) for row in xs]} and {[len(row) for row in ys]} entries a row do not "
                f"make a product: [R][{terms}] by [{terms}][{columns}] is expected"
            )
        if onto and (len(onto) != rows or any(len(row) != columns for row in onto)):
            raise LayoutError(f"a product of [{rows}][{columns}] cannot be added to {[len(r) for r in onto]}")
        x_flat, y_flat = (self._components("a factor", m, 2, len(index)) for m in (xs, ys))
        sums = self._components("a sum", onto, 3, len(index))
        out = [[self.arena.empty((3, len(index), self.degree)) for _ in range(columns)] for _ in range(rows)]
        to = [x.data_ptr() for row in out for x in row]
        self._native.tensor_product(x_flat, y_flat, rows, terms, columns, sums, to, index)
        return out

    def _components(self, name: str, matrix: Sequence[Sequence[Tensor]], count: int, limbs: int) -> list[int]:
        """Their addresses, row by row."""
        found = []
        for x in (x for row in matrix for x in row):
            if x.dim() != 3 or x.shape[0] != count:
                raise LayoutError(f"{name} has shape {list(x.shape)}; [{count}, limb, N] is expected")
            for part in x:
                self._check(f"{name}'s component", part, (limbs, self.degree))
                found.append(part.data_ptr())
        return found
