"""Plaintexts of sums of products, encoded: where they are used, or kept by a subclass."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from torch import Tensor

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.plain_rows import TEMPORARY_BYTES, Rows
from aegis_fhe.ckks.slots import SlotVector


class Plaintexts:
    """Encodes all anew each time; what keeps them overrides these."""

    def __init__(self, params: Parameters) -> None:
        self.params, self.encoder = params, params.encoder

    @property
    def settled(self) -> bool:
        """Whether all that was made of lasting rows so far stays where it is."""
        return True

    def lasting(self, circuit: Hashable, make: Callable[[], Rows]) -> Rows:
        """The rows of a circuit that is run again and again: those that `make` gives."""
        return make()

    def blocks(self, rows: Rows, columns: Sequence[int], scale: float, period: int) -> Iterable[Tensor]:
        """Signed coefficients int64 [R, B, 2 period] of some rows after the others, as many as fit about
        200 MiB with what encoding takes; columns: which of each row, None among them a zero.
        """
        at_once = max(1, TEMPORARY_BYTES // (len(columns) * 4 * period * 8))
        for start in range(0, len(rows), at_once):
            block = rows[start : start + at_once]
            vectors = [row[b] for row in block for b in columns]
            coefficients = self.encoder.encode_many(vectors, scale, period)
            yield coefficients.reshape(len(block), len(columns), 2 * period)

    def residues(self, v: SlotVector, scale: float, limbs: Sequence[int]) -> Tensor:
        """The encoded vector: [limb, N], NTT domain; a periodic one is transformed at its own size first."""
        ring = self.params.ring
        coefficients = self.encoder.encode(v, scale)
        if coefficients.shape[0] == self.params.degree:
            return ring.from_signed_ntt(coefficients, limbs)
        compressed = ring.periodic_ntt(coefficients[None], limbs)[0]
        return ring.periodic_expand(compressed)
