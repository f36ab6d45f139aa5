"""The diagonals of a matrix between any two columns of two placements."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.long.placement import EMPTY, Placement

Diagonals = dict[int, SlotVector]


class MatrixBlocks:
    """The diagonals of a matrix between two columns, turned by their giant step."""

    def __init__(self, weight: Array, source: Placement, target: Placement, baby: int) -> None:
        self.weight, self.baby, self.sub_slots = weight, baby, source.sub_slots
        self.inside, self.outside = source.table(), target.table()
        self._constant: dict[tuple[bytes, bytes], Diagonals] = {}

    def diagonals(self, a: int, o: int) -> Diagonals:
        """r -> one period of w_{a,o,r}(g - b i), for every r that a feature can reach."""
        used_in, used_out = self.inside[a] != EMPTY, self.outside[o] != EMPTY
        if self.weight.ndim:
            block = self.weight[np.ix_(self.inside[a], self.outside[o])] * np.outer(used_in, used_out)
            return self._turned(block, used_in, used_out)
        key = used_in.tobytes(), used_out.tobytes()
        if key not in self._constant:
            block = self.weight * np.outer(used_in, used_out)
            self._constant[key] = self._turned(block, used_in, used_out)
        return self._constant[key]

    def steps(self, a: int, o: int) -> tuple[frozenset[int], int]:
        """The giant steps, and the number of baby steps, of the diagonals between two columns."""
        return _steps((self.inside[a] != EMPTY).tobytes(), (self.outside[o] != EMPTY).tobytes(), self.baby)

    def encoded(self, o: int, columns_in: Iterable[int]) -> int:
        """Plaintexts that are encoded together for one column out: every giant step with every baby."""
        found = [self.steps(a, o) for a in columns_in]
        return len(frozenset().union(*(giants for giants, _ in found))) * sum(babies for _, babies in found)

    def _turned(self, block: Array, used_in: NDArray[np.bool_], used_out: NDArray[np.bool_]) -> Diagonals:
        size = self.sub_slots
        table = np.zeros((2 * size - 1, size))
        table[_places(size, self.baby)] = block
        steps = _reachable(used_in.tobytes(), used_out.tobytes())
        vectors = SlotVector.rows(table[[r + size - 1 for r in steps]])
        return dict(zip(steps, vectors, strict=True))


def matrix_blocks(weight: Array, source: Placement, target: Placement, baby: int) -> MatrixBlocks:
    """Of a matrix, or of one all of whose entries are one number."""
    if weight.ndim:
        return MatrixBlocks(weight, source, target, baby)
    return constant_blocks(float(weight), source, target, baby)


@lru_cache(maxsize=64)
def constant_blocks(weight: float, source: Placement, target: Placement, baby: int) -> MatrixBlocks:
    """Plans look at the parts of one product, and at products of one shape, again and again."""
    return MatrixBlocks(np.asarray(weight), source, target, baby)


@lru_cache(maxsize=64)
def _places(size: int, baby: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the entry from sub-slot f to g goes: row r + size - 1, r = f - g; column g + b i, i = r // b."""
    f, g = np.indices((size, size))
    r = f - g
    return r + size - 1, (g + r // baby * baby) % size


@lru_cache(maxsize=4096)
def _steps(used_in: bytes, used_out: bytes, baby: int) -> tuple[frozenset[int], int]:
    """Of every r that is reachable: r // b, and how many r mod b."""
    reachable = _reachable(used_in, used_out)
    return frozenset(r // baby for r in reachable), len({r % baby for r in reachable})


@lru_cache(maxsize=1024)
def _reachable(used_in: bytes, used_out: bytes) -> tuple[int, ...]:
    """Every r = f - g with f and g in use."""
    f, g = (np.flatnonzero(np.frombuffer(used, dtype=bool)) for used in (used_in, used_out))
    return tuple(int(r) for r in np.unique(f[:, None] - g[None, :]))
