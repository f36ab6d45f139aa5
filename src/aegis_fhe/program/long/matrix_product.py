"""Plaintext matrices times grids of ciphertexts: baby steps hoisted, giant steps accumulated."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from itertools import groupby
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import plain_scale
from aegis_fhe.circuits.rotations import RotationLadder
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.long.placement import EMPTY, Placement
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")
Diagonals = dict[int, SlotVector]

# Baby steps that share one ModUp; more of them go in two strides, as many rotations from far fewer keys.
FEW_BABIES = 16


@lru_cache(maxsize=1024)
def baby_steps(columns_in: int, columns_out: int, sub_slots: int, most: int | None = None) -> int:
    """b: the smallest power of two up to S with the fewest rotations, see `rotations`.

    most: of ciphertexts n_in b, where b > 1.
    """
    powers = [1 << i for i in range(sub_slots.bit_length())]
    powers = [b for b in powers if b == 1 or most is None or columns_in * b <= most]
    return min(powers, key=lambda b: rotations(columns_in, columns_out, sub_slots, b))


def rotations(columns_in: int, columns_out: int, sub_slots: int, b: int) -> int:
    """n_in (b - 1) + n_out (2S/b - 1), and n_out (2S - 2) for b = 1, all diagonals present."""
    if b == 1:
        return columns_out * (2 * sub_slots - 2)
    return columns_in * (b - 1) + columns_out * (2 * sub_slots // b - 1)


class ColumnBabies(msgspec.Struct, frozen=True, tag=True):
    """rot(x, j) for j = 0 ... count - 1 of every input, input by input. Level and scale unchanged."""

    count: int

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """count - 1 rotations of each; beyond FEW_BABIES in two strides."""
        ladder = RotationLadder((FEW_BABIES, 1), (FEW_BABIES,))
        return [rotated for x in inputs for _, rotated in ladder.rotations(backend, x, range(self.count))]


class MatrixProduct(msgspec.Struct, frozen=True, tag=True):
    """y = x [W_1 | W_2 | ...] + bias on one token block, between any two placements.

    y_o(g) = sum_a sum_r w_{a,o,r}(g) x_a(g + r), -S < r < S, with w_{a,o,r}(g) = W[feature of (a, g + r),
    feature of (o, g)], zero where g + r leaves the token: validity is folded into the weights, which have
    period S. With r = b i + j, 0 <= j < b, y_o = sum_i rot(sum_{a,j} w rot(x_a, j), b i).
    weights[k]: name of [features in, features out of targets[k]]; a constant without axes is a matrix all of
    whose entries are that number. biases: as many names, or none. Diagonals that no feature can reach are
    left out. most_babies: of the n_in b rotated inputs that are held, None for any number. below: for each
    target, how many levels lower its results may lie; none by default. columns, rows: a part of the product,
    some of the columns out (of all targets in a row) or the terms of some of the columns in, which are then
    its inputs; the bias is in the terms of the first. babies: b, by default with the fewest rotations of this
    part. turned: inputs come as their babies, [column][j] (see ColumnBabies). Level l -> l - 1 - below,
    scale -> nominal.
    """

    weights: tuple[str, ...]
    source: Placement
    targets: tuple[Placement, ...]
    biases: tuple[str, ...] = ()
    most_babies: int | None = None
    below: tuple[int, ...] = ()
    columns: tuple[int, int] | None = None
    rows: tuple[int, int] | None = None
    babies: int | None = None
    turned: bool = False

    @property
    def columns_in(self) -> range:
        """Columns of the source that are its inputs."""
        return range(*self.rows) if self.rows else range(self.source.columns)

    @property
    def columns_out(self) -> int:
        """Ciphertexts of the result."""
        return sum(len(self._chosen(index)) for index in range(len(self.targets)))

    @property
    def baby(self) -> int:
        """b."""
        size = self.source.sub_slots
        if self.babies is not None:
            return self.babies
        return baby_steps(len(self.columns_in), self.columns_out, size, self.most_babies)

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """n_in (b - 1) + n_out (2S/b - 1) rotations, at most (2S - 1) n_in n_out products."""
        level, baby = min(backend.level(x) for x in inputs), self.baby
        babies = [backend.drop_to(x, level) for x in inputs]
        if not self.turned:
            babies = ColumnBabies(baby).lower(backend, babies, context)
        results: list[V] = []
        for index, target in enumerate(self.targets):
            chosen = self._chosen(index)
            if not chosen:
                continue
            own_level = level - (self.below[index] if self.below else 0)
            own = [backend.drop_to(x, own_level) for x in babies]
            scale = plain_scale(backend, own[0], context.scale)
            blocks = _blocks(context.constants[self.weights[index]], self.source, target, baby)
            # One column at a time: the inner sums of all would take more memory than the result.
            columns = [self._column(backend, own, blocks, o, scale) for o in chosen]
            results += self._biased(backend, columns, index, context)
        return results

    def alike(self, context: Context) -> Hashable:
        """What decides its operations and levels, where weights are no arrays: see `KnownNodes`."""
        if any(np.ndim(context.constants[name]) for name in self.weights):
            return self
        outside = tuple(_used(target, self._chosen(index)) for index, target in enumerate(self.targets))
        whole = msgspec.structs.replace(self, columns=None, rows=None, babies=self.baby)
        return whole, _used(self.source, self.columns_in), outside, self.columns_in.start == 0

    def plaintexts(self) -> int:
        """Different encoded weights of one application."""
        blocks = [_constant_blocks(1.0, self.source, target, self.baby) for target in self.targets]
        pairs = ((b, a, o) for i, b in enumerate(blocks) for o in self._chosen(i) for a in self.columns_in)
        return sum(len(b.diagonals(a, o)) for b, a, o in pairs)

    def encoded(self) -> int:
        """Plaintexts of one application as they are encoded together: all pairs of a giant step that occurs
        and a rotated input that is used, column by column, zeros among them.
        """
        blocks = [_constant_blocks(1.0, self.source, target, self.baby) for target in self.targets]
        columns = ((block, o) for i, block in enumerate(blocks) for o in self._chosen(i))
        return sum(self._encoded(block, o) for block, o in columns)

    def _encoded(self, block: _Blocks, o: int) -> int:
        found = [block.steps(a, o) for a in self.columns_in]
        return len(frozenset().union(*(giants for giants, _ in found))) * sum(babies for _, babies in found)

    def _chosen(self, index: int) -> range:
        """Columns of one target that are made."""
        target = self.targets[index]
        if self.columns is None:
            return range(target.columns)
        before = sum(t.columns for t in self.targets[:index])
        first, last = (min(max(c - before, 0), target.columns) for c in self.columns)
        return range(first, last)

    def _column(self, backend: Backend[V], babies: list[V], blocks: _Blocks, o: int, scale: float) -> V:
        baby, found = blocks.baby, [blocks.diagonals(a, o) for a in self.columns_in]
        giants = sorted({r // baby for diagonals in found for r in diagonals})
        rows = [[diagonals.get(i * baby + j) for diagonals in found for j in range(baby)] for i in giants]
        inner = backend.mul_plain_sums(babies, rows, scale)
        return backend.rotate_sum_rescale(inner, [i * baby for i in giants])

    def _biased(self, backend: Backend[V], columns: list[V], index: int, context: Context) -> list[V]:
        if not self.biases or self.columns_in.start:
            return columns
        every = self.targets[index].vectors(context.constants[self.biases[index]])
        bias = [every[o] for o in self._chosen(index)]
        return [backend.add_plain(x, SlotVector(v)) for x, v in zip(columns, bias, strict=True)]


def _used(placement: Placement, columns: range) -> tuple[bytes, ...]:
    """Of each column the sub-slots with a feature."""
    return tuple((row != EMPTY).tobytes() for row in placement.table()[columns.start : columns.stop])


class _Blocks:
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

    def _turned(self, block: Array, used_in: NDArray[np.bool_], used_out: NDArray[np.bool_]) -> Diagonals:
        size = self.sub_slots
        f, g = np.indices((size, size), sparse=True)
        table = np.zeros((2 * size - 1, size))
        table[f - g + size - 1, np.broadcast_to(g, (size, size))] = block
        found: Diagonals = {}
        reachable = _reachable(used_in.tobytes(), used_out.tobytes())
        for turn, steps in groupby(reachable, key=lambda r: r // self.baby * self.baby):
            rows = list(steps)
            turned = np.roll(table[[r + size - 1 for r in rows]], turn, axis=1)
            found.update((r, SlotVector(row)) for r, row in zip(rows, turned, strict=True))
        return found


def _blocks(weight: Array, source: Placement, target: Placement, baby: int) -> _Blocks:
    if weight.ndim:
        return _Blocks(weight, source, target, baby)
    return _constant_blocks(float(weight), source, target, baby)


@lru_cache(maxsize=64)
def _constant_blocks(weight: float, source: Placement, target: Placement, baby: int) -> _Blocks:
    """Plans look at the parts of one product, and at products of one shape, again and again."""
    return _Blocks(np.asarray(weight), source, target, baby)


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
