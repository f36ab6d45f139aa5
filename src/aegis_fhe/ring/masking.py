"""The masked rows of ciphertexts and keys, b = m - a s: one limb at a time, in the memory of b."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from aegis_fhe.errors import LayoutError
from aegis_fhe.ring.core import RingCore


class Masking(RingCore):
    """Two steps that a row goes through while it lies in cache: the message, then the mask.

    All tensors lie in this machine's memory, also where the ring's lie on a GPU: secrets do not go there.
    """

    def lift_row(
        self, row: Tensor, message: Tensor, limb: int, *, source: Tensor | None = None, factor: int = 0
    ) -> None:
        """row <- NTT(message) + factor * source, modulo the prime of `limb`.

        row: int64 [N]; what was in it is lost. message: int64 [N], signed coefficients of any size. source:
        int64 [N], NTT domain, in [0, q); factor: any integer. Out: NTT domain, in [0, q). Cost: one NTT, and
        a product per entry where there is a source. Raises LayoutError for a wrong tensor or one that
        overlaps `row`, ParameterError for an unknown limb.
        """
        (index,) = self.check_limbs((limb,))
        operands = [("message", message)] + ([] if source is None else [("source", source)])
        host = self.host
        host._check_rows(row, operands)
        address = 0 if source is None else source.data_ptr()
        reduced = factor % self.moduli[index]
        host._native.lift_row(message.data_ptr(), address, reduced, row.data_ptr(), index)

    def mask_row(self, row: Tensor, secret: Tensor, limb: int, words: Iterable[tuple[int, int]]) -> None:
        """row -= a * secret modulo the prime of `limb`, a made of random words and never stored.

        row, secret: int64 [N], NTT domain, in [0, q). words: pieces (address, bytes) of 64-bit words, taken
        until the row is done, valid until the next is asked for. They become residues as in
        `sampling.uniform_row`. Raises as lift_row.
        """
        (index,) = self.check_limbs((limb,))
        host = self.host
        host._check_rows(row, [("secret", secret)])
        row_at, secret_at, left = row.data_ptr(), secret.data_ptr(), self.degree
        for address, size in words:
            done = host._native.mask_row(address, size // 8, secret_at, row_at, left, index)
            row_at, secret_at, left = row_at + 8 * done, secret_at + 8 * done, left - done
            if left == 0:
                return
        raise AssertionError(f"the words end {left} entries before the row does")

    def _check_rows(self, row: Tensor, operands: list[tuple[str, Tensor]]) -> None:
        for name, x in operands:
            self._check(name, x, (self.degree,))
            if x.dim() != 1:
                raise LayoutError(f"{name} has shape {list(x.shape)}; [{self.degree}] is expected")
        self._out((self.degree,), row, [x for _, x in operands])
