"""Plaintext matrices times grids of ciphertexts: baby steps hoisted, giant steps accumulated."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Generic, TypeVar

import msgspec
import numpy as np

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import plain_scale
from aegis_fhe.circuits.rotations import RotationLadder
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.long.matrix_blocks import MatrixBlocks, constant_blocks, matrix_blocks
from aegis_fhe.program.long.placement import EMPTY, Placement
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")

# Baby steps that share one ModUp; more of them go in two strides, as many rotations from far fewer keys.
FEW_BABIES = 16
AT_ONCE = 8  # inner sums that read the babies together


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
        rotated = [own for _, own in ladder.rotations_each(backend, inputs, range(self.count))]
        return [x for every in zip(*rotated, strict=True) for x in every]


@dataclass(frozen=True)
class TargetTerms(Generic[V]):
    """Of one target: babies at its level, its weights, and the scale that they are encoded at."""

    index: int
    babies: list[V]
    blocks: MatrixBlocks
    scale: float


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
        return sum(len(self.chosen(index)) for index in range(len(self.targets)))

    @property
    def baby(self) -> int:
        """b."""
        size = self.source.sub_slots
        if self.babies is not None:
            return self.babies
        return baby_steps(len(self.columns_in), self.columns_out, size, self.most_babies)

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """n_in (b - 1) + n_out (2S/b - 1) rotations, at most (2S - 1) n_in n_out products."""
        results: list[V] = []
        for terms in self.by_target(backend, inputs, context):
            columns = list[V]()
            # A few columns at a time: the inner sums of all would take more memory than the result.
            for few in self.together(terms.index, self.columns_in):
                sums = self.inner_sums(backend, terms, few, self.columns_in)
                columns += [self.turned_sum(backend, sums.pop(0)) for _ in few]
            results += self.biased(backend, columns, terms.index, context)
        return results

    def by_target(self, backend: Backend[V], inputs: list[V], context: Context) -> Iterator[TargetTerms[V]]:
        """What columns are made of, for every target of which some are."""
        level = min(backend.level(x) for x in inputs)
        babies = [backend.drop_to(x, level) for x in inputs]
        if not self.turned:
            babies = ColumnBabies(self.baby).lower(backend, babies, context)
        for index, target in enumerate(self.targets):
            if self.chosen(index):
                below = self.below[index] if self.below else 0
                own = [backend.drop_to(x, level - below) for x in babies]
                blocks = matrix_blocks(context.constants[self.weights[index]], self.source, target, self.baby)
                yield TargetTerms(index, own, blocks, plain_scale(backend, own[0], context.scale))

    def together(self, index: int, columns_in: Sequence[int]) -> Iterator[list[int]]:
        """Columns of a target that are alike, a few at a time: their babies are read once."""
        used = _used(self.targets[index], self.chosen(index))
        for _, alike in groupby(self.chosen(index), key=lambda o: used[o - self.chosen(index).start]):
            columns = list(alike)
            few = max(1, AT_ONCE // len(self.giants(index, columns[0], columns_in)))
            yield from (columns[i : i + few] for i in range(0, len(columns), few))

    def inner_sums(
        self, backend: Backend[V], terms: TargetTerms[V], few: Sequence[int], columns_in: Sequence[int]
    ) -> list[dict[int, V]]:
        """For each of a few columns i -> sum_{a,j} w rot(x_a, j) over some columns in, whose babies the terms
        are.
        """
        baby, rows, giants = self.baby, list[list[SlotVector | None]](), list[list[int]]()
        for o in few:
            found = [terms.blocks.diagonals(a, o) for a in columns_in]
            own = sorted({r // baby for diagonals in found for r in diagonals})
            rows += [[diagonals.get(i * baby + j) for diagonals in found for j in range(baby)] for i in own]
            giants.append(own)
        sums = iter(backend.mul_plain_sums(terms.babies, rows, terms.scale))
        return [{i: next(sums) for i in own} for own in giants]

    def turned_sum(self, backend: Backend[V], inner: Mapping[int, V]) -> V:
        """sum_i rot(inner sum, b i), rescaled."""
        return backend.rotate_sum_rescale([*inner.values()], [i * self.baby for i in inner])

    def places(self) -> list[tuple[int, int]]:
        """(target, column of it) of every result."""
        return [(index, o) for index in range(len(self.targets)) for o in self.chosen(index)]

    def giants(self, index: int, o: int, columns_in: Iterable[int]) -> list[int]:
        """The i of `inner_sums`."""
        blocks = constant_blocks(1.0, self.source, self.targets[index], self.baby)
        return sorted(frozenset[int]().union(*(blocks.steps(a, o)[0] for a in columns_in)))

    def alike(self, context: Context) -> Hashable:
        """What decides its operations and levels, where weights are no arrays: see `KnownNodes`."""
        if any(np.ndim(context.constants[name]) for name in self.weights):
            return self
        outside = tuple(_used(target, self.chosen(index)) for index, target in enumerate(self.targets))
        whole = msgspec.structs.replace(self, columns=None, rows=None, babies=self.baby)
        return whole, self.used(self.columns_in), outside, self.columns_in.start == 0

    def used(self, columns_in: Iterable[int]) -> tuple[bytes, ...]:
        """Of some columns in the sub-slots with a feature."""
        return _used(self.source, columns_in)

    def plaintexts(self) -> int:
        """Different encoded weights of one application."""
        blocks = [constant_blocks(1.0, self.source, target, self.baby) for target in self.targets]
        pairs = ((b, a, o) for i, b in enumerate(blocks) for o in self.chosen(i) for a in self.columns_in)
        return sum(len(b.diagonals(a, o)) for b, a, o in pairs)

    def encoded(self, columns_in: Sequence[int] | None = None) -> int:
        """Plaintexts of one application as they are encoded together: all pairs of a giant step that occurs
        and a rotated input that is used, column by column, zeros among them. columns_in: of these terms.
        """
        terms = self.columns_in if columns_in is None else columns_in
        blocks = [constant_blocks(1.0, self.source, target, self.baby) for target in self.targets]
        columns = ((block, o) for i, block in enumerate(blocks) for o in self.chosen(i))
        return sum(block.encoded(o, terms) for block, o in columns)

    def chosen(self, index: int) -> range:
        """Columns of one target that are made."""
        target = self.targets[index]
        if self.columns is None:
            return range(target.columns)
        before = sum(t.columns for t in self.targets[:index])
        first, last = (min(max(c - before, 0), target.columns) for c in self.columns)
        return range(first, last)

    def biased(self, backend: Backend[V], columns: list[V], index: int, context: Context) -> list[V]:
        """Of one target, with its bias."""
        if not self.biases or self.columns_in.start:
            return columns
        every = self.targets[index].vectors(context.constants[self.biases[index]])
        bias = [every[o] for o in self.chosen(index)]
        return [backend.add_plain(x, SlotVector(v)) for x, v in zip(columns, bias, strict=True)]


def _used(placement: Placement, columns: Iterable[int]) -> tuple[bytes, ...]:
    """Of each column the sub-slots with a feature."""
    table = placement.table()
    return tuple((table[column] != EMPTY).tobytes() for column in columns)
