"""Attention of one group of heads as nodes: a pass over scores for each round, then one that weighs V."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aegis_fhe.circuits.chebyshev import ChebyshevSeries
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.grid_builder import Column, Grid, GridBuilder, joined
from aegis_fhe.program.long.placement import EMPTY
from aegis_fhe.program.long.reciprocal import Reciprocal
from aegis_fhe.program.long.slotwise import Each
from aegis_fhe.program.long.statistics import HeadSum
from aegis_fhe.program.long.steps import DENOMINATOR, LayerPlan, round_name
from aegis_fhe.program.operators import Multiply, Polynomial


class GroupGraph:
    """Adds the nodes of one group of heads to a layer's."""

    def __init__(self, plan: LayerPlan, builder: GridBuilder, group: int) -> None:
        self.plan, self.b, self.group = plan, builder, group
        self.blocks = range(plan.layout.blocks)
        self.operator = StreamingAttention(
            scores=plan.scores(group),
            exponential=Polynomial.of(plan.fits.exponential),
            squarings=plan.fits.squarings,
            offset="score.offset",
            growth="score.growth" if "score.growth" in plan.known else None,
            masked=plan.masked,
        )

    def attended(self, q: Grid, k: Grid, v: Grid) -> Grid:
        """Q, K and V -> O / D, times what the constants of V take out again."""
        scores, factors = _flat(q, k), Column()
        for index, reciprocal in enumerate(self.plan.round_reciprocals):
            scores, own = self._round(index, reciprocal, scores, factors)
            factors = own if self.plan.resident else (*factors, *own)
        rounds, columns = self.plan.rounds, self.operator.scores.columns
        operator = self._operator(rounds=rounds, resident=self.plan.resident and rounds > 0)
        names = [f"o{self.group}.{p}.{a}" for p in self.blocks for a in range(columns)]
        names += [f"d{self.group}.{p}" for p in self.blocks]
        self.b.stage = "attend"
        made = self.b.many(tuple(names), operator, 0, (*scores, *_flat(v), *factors))
        sums = [made[p * columns : (p + 1) * columns] for p in self.blocks]
        series, reciprocal = self.plan.fits.reciprocal, self.plan.reciprocal
        quotients = self._reciprocals(DENOMINATOR, made[len(sums) * columns :], series, reciprocal)
        product = Each(Multiply(), columns, True)
        return self.b.each(f"attended{self.group}", product, joined(sums, quotients), columns)

    def _round(
        self, index: int, reciprocal: Reciprocal, scores: Column, factors: Column
    ) -> tuple[Column, Column]:
        """(what the next pass has its scores from, 1/D of every block) of the pass before a round."""
        resident = self.plan.resident
        operator = self._operator(rounds=index, resident=resident and index > 0, keeps=resident, weighs=False)
        kept = len(operator.scores.places()) if resident else 0
        names = [f"round{index}.p{self.group}.{place}" for place in range(kept)]
        names += [f"round{index}.d{self.group}.{p}" for p in self.blocks]
        self.b.stage = "normalise"
        made = self.b.many(tuple(names), operator, 0, (*scores, *factors))
        series = self.plan.fits.rounds[index].reciprocal
        found = self._reciprocals(round_name(index), made[kept:], series, reciprocal)
        return made[:kept] if resident else scores, _flat(found)

    def _reciprocals(
        self, name: str, denominators: Sequence[str], series: ChebyshevSeries, reciprocal: Reciprocal
    ) -> Grid:
        """`reciprocal` of every block's denominators, on the interval of its series."""
        self.b.stage, queries = "divide", self.plan.placements.queries
        heads = int((queries.heads_of(self.group) != EMPTY).sum())
        sums = []
        for p, denominator in enumerate(denominators):
            head_sum = HeadSum(
                layout=self.plan.layout,
                block=p,
                heads=heads,
                padded_heads=queries.padded_heads,
                key_blocks=queries.key_blocks,
                factor=series.slope,
                offset=series.offset,
                padding=0.0,
            )
            sums.append((self.b.one(f"{name}{self.group}", head_sum, p, denominator),))
        fresh = self.b.cut(name, sums, f"{name}{self.group}")
        quotient = name.replace(DENOMINATOR, "reciprocal")
        return self.b.each(f"{quotient}{self.group}", reciprocal, fresh, 1)

    def _operator(self, **changes: object) -> StreamingAttention:
        return msgspec.structs.replace(self.operator, **changes)


def _flat(*grids: Grid) -> Column:
    return tuple(name for grid in grids for columns in grid for name in columns)
