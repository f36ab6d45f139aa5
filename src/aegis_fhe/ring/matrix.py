"""Matrix products of ciphertexts by ciphertexts, entry by entry of the NTT domain."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from aegis_fhe.errors import LayoutError
from aegis_fhe.ring.core import RingCore


class MatrixProduct(RingCore):
    """The engine under attention; `Periodic.periodic_dot` is the one under linear layers."""

    def tensor_product(
        self, xs: Sequence[Sequence[Tensor]], ys: Sequence[Sequence[Tensor]], limbs: Sequence[int]
    ) -> Tensor:
        """out[r, s] = sum_b xs[r][b] (x) ys[b][s], with x (x) y = (x_0 y_0, x_0 y_1 + x_1 y_0, x_1 y_1).

        xs: R rows of B tensors, ys: B rows of S tensors, each [2, limb, N] with contiguous components, NTT
        domain in [0, q) -> [R, S, 3, limb, N] in [0, q), every sum reduced once. Scale: that of the product.
        Cost: 4 R S B products per entry; each operand is read from memory once where R B + B S entries of all
        of them fit the cache. Raises LayoutError for wrong tensors or ragged rows, ParameterError for unknown
        limbs.
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
        pointers = [[self._components(x, len(index)) for row in m for x in row] for m in (xs, ys)]
        x_flat, y_flat = ([address for pair in pairs for address in pair] for pairs in pointers)
        out = self.arena.empty((rows, columns, 3, len(index), self.degree))
        self._native.tensor_product(x_flat, y_flat, rows, terms, columns, out.data_ptr(), index)
        return out

    def _components(self, x: Tensor, limbs: int) -> tuple[int, int]:
        if x.dim() != 3 or x.shape[0] != 2:
            raise LayoutError(f"a factor has shape {list(x.shape)}; [2, limb, N] is expected")
        for part in x:
            self._check("a factor's component", part, (limbs, self.degree))
        return x[0].data_ptr(), x[1].data_ptr()
