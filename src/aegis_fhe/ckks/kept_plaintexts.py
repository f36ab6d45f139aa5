"""Plaintexts of circuits that run again and again, encoded once: for kernels that outrun the encoder."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from torch import Tensor

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.plain_rows import Rows
from aegis_fhe.ckks.plaintexts import Plaintexts
from aegis_fhe.ckks.slots import SlotVector

KEPT_BYTES = 8 << 30  # a full-slot bootstrap at N = 2^16 has some 200 dense vectors of about 10 MiB


class KeptPlaintexts(Plaintexts):
    """Keeps what it makes of the vectors of `lasting` rows, where the ring's tensors lie: `limit_bytes`.

    The first that fit are kept; all others are encoded anew. Not for use by several threads at once.
    """

    def __init__(self, params: Parameters, limit_bytes: int = KEPT_BYTES) -> None:
        super().__init__(params)
        self.limit_bytes = limit_bytes
        self.kept_bytes = 0
        self._refused = False
        self._rows: dict[Hashable, Rows] = {}
        self._lasting: set[SlotVector] = set()
        self._blocks: dict[tuple[Hashable, ...], list[Tensor]] = {}
        self._residues: dict[tuple[SlotVector, float, tuple[int, ...]], Tensor] = {}

    @property
    def settled(self) -> bool:
        """Whether there was room for all so far."""
        return not self._refused

    def lasting(self, circuit: Hashable, make: Callable[[], Rows]) -> Rows:
        """Those of the first call of this circuit."""
        found = self._rows.get(circuit)
        if found is None:
            found = self._rows[circuit] = make()
            self._lasting.update(v for row in found for v in row if v is not None)
        return found

    def blocks(self, rows: Rows, columns: Sequence[int], scale: float, period: int) -> Iterable[Tensor]:
        """As of the class, those that are kept without encoding them."""
        vectors = tuple(row[b] for row in rows for b in columns)
        if not all(v is None or v in self._lasting for v in vectors):
            return super().blocks(rows, columns, scale, period)
        key = vectors, len(rows), scale, period
        if key not in self._blocks:
            size = len(vectors) * 2 * period * 8
            if not self._room(size):
                return super().blocks(rows, columns, scale, period)
            arena = self.params.ring.arena
            self._blocks[key] = [arena.copy(x) for x in super().blocks(rows, columns, scale, period)]
        return self._blocks[key]

    def residues(self, v: SlotVector, scale: float, limbs: Sequence[int]) -> Tensor:
        """As of the class; what is kept must not be written to."""
        key = v, scale, tuple(limbs)
        found = self._residues.get(key)
        if found is None:
            found = super().residues(v, scale, limbs)
            if v in self._lasting and self._room(found.nbytes):
                self._residues[key] = found
        return found

    def _room(self, size: int) -> bool:
        """Whether so much more is kept; counts it."""
        if self.kept_bytes + size > self.limit_bytes:
            self._refused = True
            return False
        self.kept_bytes += size
        return True
