"""One pass over the scores of an attention: where they come from, what they are summed to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.products import multiply_plain
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.long.rounds import normalise_and_square, round_level, useful_level
from aegis_fhe.program.operators.context import Context

if TYPE_CHECKING:
    from aegis_fhe.program.long.attention import StreamingAttention

V = TypeVar("V")
Place = tuple[int, int, int, int]  # of `ScoreDiagonals.places`


@dataclass(frozen=True)
class _Weighted(Generic[V]):
    """One ciphertext of probabilities, and whose values it meets, if any."""

    probability: V
    values: Sequence[V]


class ScorePass(Generic[V]):
    """The state of one pass: babies of K and V, Q and factors of the current giant step, the sums so far."""

    def __init__(
        self, operator: StreamingAttention, backend: Backend[V], context: Context, inputs: Sequence[V]
    ) -> None:
        self.operator, self.backend, self.context = operator, backend, context
        self.scores = operator.scores
        self.blocks = operator.query_blocks
        self.aligned: list[list[V]] = [[] for _ in self.blocks]
        self.stored: dict[Place, V] = {}
        level, rest = self._stored(inputs) if operator.resident else self._computed(inputs)
        grids, factors = self._key_grids(rest, operator.weighs)
        level = self._factors(factors, level)
        lower = min((self.backend.level(x) for grid in grids for x in grid), default=level)
        self.values = [self._babies(grid, min(lower, level)) for grid in grids]
        self.turned = self.aligned
        self.kept: dict[Place, V] = {}
        self.sums: list[list[V]] = [[] for _ in self.blocks]

    def results(self) -> list[V]:
        """Scores where they are kept, all O where there are any, all D.

        Giant steps from the last to the first: Q and factors turn forward by one step, and so do the sums
        behind them.
        """
        steps = self.operator.giant_steps
        for i in reversed(steps):
            self._turn(i)
            for place in range(len(self.blocks)):
                self._accumulate(i, place)
        if steps[0]:
            self.sums = self._rotated(self.sums, self._unit * steps[0])
        grids = [grid or self._nothing() for grid in self.sums]
        sums = [x for grid in grids for x in grid[:-1]] + [grid[-1] for grid in grids]
        return [*self._kept(), *sums] if self.operator.keeps else sums

    def _stored(self, inputs: Sequence[V]) -> tuple[int, Sequence[V]]:
        """(level of scores, other inputs), where the scores come in."""
        places = self.scores.places()
        self.stored = dict(zip(places, inputs[: len(places)], strict=True))
        return min(self.backend.level(x) for x in self.stored.values()), inputs[len(places) :]

    def _computed(self, inputs: Sequence[V]) -> tuple[int, Sequence[V]]:
        """(level of scores, other inputs), where they are made of Q and K."""
        queries, inputs = self._grids(inputs, len(self.blocks), self.scores.columns)
        keys, inputs = self._key_grids(inputs, True)
        level = min(self.backend.level(x) for grid in (*queries, *keys) for x in grid)
        self.aligned = [self._dropped(grid, level) for grid in queries]
        self.keys = [self._babies(grid, level) for grid in keys]
        return level - self.operator.exponential_depth, inputs

    def _key_grids(self, inputs: Sequence[V], present: bool) -> tuple[list[Sequence[V]], Sequence[V]]:
        """K or V of all token blocks, as they are or as their babies, and what is behind them."""
        columns = self.scores.columns * (self.scores.baby if self.operator.turned else 1)
        return self._grids(inputs, self.scores.layout.blocks if present else 0, columns)

    def _grids(self, inputs: Sequence[V], blocks: int, columns: int) -> tuple[list[Sequence[V]], Sequence[V]]:
        """The next grid among the inputs, [token block][column], and what is behind it."""
        end = blocks * columns
        return [inputs[start : start + columns] for start in range(0, end, columns)], inputs[end:]

    def _factors(self, factors: Sequence[V], level: int) -> int:
        """Joins the factors to what turns; the level of probabilities made of scores at `level`."""
        blocks, masked = len(self.blocks), self.operator.masks
        if not factors:
            return level - masked
        for start in range(0, len(factors), blocks):
            own = factors[start : start + blocks]
            found = min(self.backend.level(x) for x in own)
            useful = self._dropped(own, useful_level(level, found, masked=masked))
            self.aligned = [[*grid, x] for grid, x in zip(self.aligned, useful, strict=True)]
            level, masked = round_level(level, found, masked=masked), False
        return level

    def _turn(self, i: int) -> None:
        """Queries, factors and sums to giant step i."""
        last = i == self.operator.giant_steps[-1]
        if i:
            self.turned = self._rotated(self.turned, -self._unit * i if last else self._unit)
        else:
            self.turned = self.aligned
        if not last:
            self.sums = self._rotated(self.sums, self._unit)

    @property
    def _unit(self) -> int:
        """One giant step."""
        return self.scores.layout.sub_slots * self.scores.baby

    def _rotated(self, grids: list[list[V]], step: int) -> list[list[V]]:
        return [[self.backend.rotate(x, step) for x in grid] for grid in grids]

    def _accumulate(self, i: int, at: int) -> None:
        """Adds the scores of one giant step to the sums of a block of queries, by its place."""
        found = list(self._probabilities(i, self.blocks[at]))
        if not found:
            return
        probabilities, backend = [one.probability for one in found], self.backend
        partial = []
        for c in range(self.scores.columns if self.operator.weighs else 0):
            product = backend.multiply_sum(probabilities, [one.values[c] for one in found])
            partial.append(backend.relinearize_rescale(product))
        partial.append(backend.sum(probabilities))
        before = self.sums[at]
        pairs = zip(before, partial, strict=True)
        self.sums[at] = [backend.add(x, y) for x, y in pairs] if before else partial

    def _probabilities(self, i: int, block: int) -> Iterator[_Weighted[V]]:
        scores, offsets = self.scores, self.operator.offsets(i, block, self.context)
        for key_block in range(scores.layout.blocks):
            for j in scores.babies(i):
                seen = scores.keys_seen(
                    block, key_block, i, j, self.context.tokens, public=self.context.public_tokens
                )
                if seen.any():
                    y = self._probability((block, key_block, i, j), offsets, seen)
                    yield _Weighted(y, self.values[key_block][j] if self.values else ())

    def _probability(self, place: Place, offsets: SlotVector, seen: NDArray[np.bool_]) -> V:
        """exp of a score, after this pass's rounds, masked."""
        mask = self.scores.mask(seen) if self.operator.masks else None
        own = self.turned[self.blocks.index(place[0])]
        factors = own[len(own) - self.operator.factors :]
        y = kept = self._exponential(place, offsets)
        if mask is not None and not factors:
            y = multiply_plain(self.backend, y, mask, self.context.scale)
        for factor in factors:
            y = kept = normalise_and_square(self.backend, y, factor, mask, self.context.scale)
            mask = None
        if self.operator.keeps:
            self.kept[place] = kept
        return y

    def _exponential(self, place: Place, offsets: SlotVector) -> V:
        if self.operator.resident:
            return self.stored[place]
        block, key_block, _, j = place
        queries = self.turned[self.blocks.index(block)][: self.scores.columns]
        keys = self.keys[key_block][j]
        product = self.backend.multiply_sum(queries, keys)
        return self.operator.exponentiated(self.backend, product, offsets, self.context)

    def _kept(self) -> list[V]:
        """Every place's score: shorter texts have as many, of which nobody reads the rest."""
        some = next(iter(self.kept.values()))
        return [self.kept.get(place, some) for place in self.scores.places()]

    def _nothing(self) -> list[V]:
        """Sums of a block past the end of a shorter text, whose queries see no key."""
        return [self.backend.sub(x, x) for x in next(grid for grid in self.sums if grid)]

    def _dropped(self, grid: Sequence[V], level: int) -> list[V]:
        return [self.backend.drop_to(x, level) for x in grid]

    def _babies(self, grid: Sequence[V], level: int) -> list[list[V]]:
        """[j][column]: rot(x, S j)."""
        if self.operator.turned:
            babies = self._dropped(grid, level)
            return [babies[j :: self.scores.baby] for j in range(self.scores.baby)]
        steps = [self.scores.layout.sub_slots * j for j in range(self.scores.baby)]
        rotated = self.backend.rotate_many_each(self._dropped(grid, level), steps)
        return [list(column) for column in zip(*rotated, strict=True)]
