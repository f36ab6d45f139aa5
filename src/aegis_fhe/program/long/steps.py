"""A layer as the chain of steps that `levels` searches; `graph` builds nodes in the same order."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_fhe.circuits.chebyshev import ChebyshevSeries
from aegis_fhe.circuits.polynomial import polynomial_depth
from aegis_fhe.program.long.diagonals import ScoreDiagonals
from aegis_fhe.program.long.fits import LayerFits
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.levels import Cut, Fork, Join, Round, Side, Spend, Step
from aegis_fhe.program.long.placement import Placement
from aegis_fhe.program.long.reciprocal import Reciprocal
from aegis_fhe.program.long.shape import LayerShape
from aegis_fhe.program.operators.arithmetic import Polynomial


@dataclass(frozen=True)
class LayerPlacements:
    """Where a layer's values lie."""

    hidden: Placement
    queries: Placement
    keys: Placement
    units: Placement

    @classmethod
    def of(cls, shape: LayerShape, layout: GridLayout, head_groups: int = 1) -> LayerPlacements:
        """Dense hidden states and units, head-minor queries and keys."""
        heads, dim, size = shape.heads, shape.head_dim, layout.sub_slots
        return cls(
            hidden=Placement.dense(shape.features, size),
            queries=Placement.head_minor(heads, dim, layout, groups=head_groups),
            keys=Placement.head_minor(heads, dim, layout, shape.key_value_heads, groups=head_groups),
            units=Placement.dense(shape.hidden, size),
        )


# Of the last division, as they are refreshed.
DENOMINATOR = "denominator"
# Constants that a layer may have: offsets of keys and the growth of scores' shifts, which keep scores narrow;
# keys and values of public tokens.
KNOWN = frozenset({"key.offset", "score.growth", "key.public", "value.public"})


@dataclass(frozen=True)
class LayerPlan:
    """A layer's shape with its layout, its fits, and whether scores are masked.

    known: what is added in clear, of `KNOWN`. most_babies: how many rotated inputs an operator holds at a
    time, None for as many as take the fewest rotations. most_scores: up to how many score ciphertexts stay
    resident from one pass to the next where there are rounds, None for any number. head_groups: how many
    groups heads form at least. giant_steps: as `ScoreDiagonals.steps`.
    """

    shape: LayerShape
    layout: GridLayout
    fits: LayerFits
    masked: bool
    known: frozenset[str] = frozenset()
    most_babies: int | None = None
    most_scores: int | None = None
    head_groups: int = 1
    giant_steps: int | None = None

    @property
    def placements(self) -> LayerPlacements:
        """Where its values lie."""
        return LayerPlacements.of(self.shape, self.layout, self.head_groups)

    @property
    def folded(self) -> bool:
        """Whether keys are spread over spare sub-slots."""
        return self.placements.queries.key_blocks > 1

    @property
    def placed(self) -> bool:
        """Whether keys and values pass through PlaceHeads."""
        return self.folded or self.shape.rotary

    @property
    def reciprocal(self) -> Reciprocal:
        """The operator from normalised denominators to factors."""
        series = self.fits.reciprocal
        return Reciprocal(Polynomial.of(series), series.offset, self.fits.newton_steps)

    @property
    def rounds(self) -> int:
        """Of normalise-and-square."""
        return len(self.fits.rounds)

    @property
    def round_reciprocals(self) -> list[Reciprocal]:
        """The operator of each round from normalised denominators to 1/D."""
        series = [(fit.reciprocal, fit.newton_steps) for fit in self.fits.rounds]
        return [Reciprocal(Polynomial.of(s), s.offset, steps, value=s.slope) for s, steps in series]

    @property
    def exponential_depth(self) -> int:
        """Levels from queries and keys to exponentials: the product, the series, the squarings."""
        return 1 + _depth(self.fits.exponential) + self.fits.squarings

    @property
    def probability_depth(self) -> int:
        """Levels from queries and keys to probabilities, at least: factors of rounds may hold them down."""
        return self.exponential_depth + (2 * self.rounds or self.masked)

    def scores(self, group: int) -> ScoreDiagonals:
        """The diagonals of one group of heads."""
        return ScoreDiagonals(
            self.layout,
            self.placements.queries,
            group,
            self.shape.causal,
            self.most_babies,
            self.giant_steps,
        )

    @property
    def resident(self) -> bool:
        """Whether scores stay from one pass to the next; a pass between two holds what it reads and makes."""
        held = min(self.rounds, 2) * len(self.scores(0).places())
        return self.most_scores is None or held <= self.most_scores

    def steps(self) -> list[Step]:
        """The whole layer."""
        return [*self._attention(), *self._feed_forward()]

    def _attention(self) -> list[Step]:
        fits, blocks, places = self.fits, self.layout.blocks, self.placements
        return [
            Fork(),
            *self._norm("first", fits.first_norm, before=True),
            Spend(1 + self.placed + self.exponential_depth),
            *self._rounds(),
            Spend(1 if self.rounds else self.masked + 1),
            # D lies one level above the sums, so its mask costs them nothing.
            Side(DENOMINATOR, places.queries.groups * _pairs(blocks), 0, self.reciprocal.depth),
            Cut("attended", _pairs(blocks * places.queries.columns)),
            Spend(1),
            Join(),
            Cut("middle", self._hidden_pairs),
            *self._norm("first", fits.first_norm, before=False),
        ]

    def _rounds(self) -> list[Step]:
        bootstraps = self.placements.queries.groups * _pairs(self.layout.blocks)
        return [
            Round(
                round_name(index),
                bootstraps,
                masked=self.masked and index == 0,
                before=1,
                after=reciprocal.depth,
            )
            for index, reciprocal in enumerate(self.round_reciprocals)
        ]

    def _feed_forward(self) -> list[Step]:
        fits, shape, blocks, places = self.fits, self.shape, self.layout.blocks, self.placements
        units = blocks * places.units.columns
        return [
            Fork(),
            *self._norm("second", fits.second_norm, before=True),
            Spend(1),
            Cut("expanded", _pairs(units * (1 + shape.gated))),
            Spend(_depth(fits.activation) + shape.gated),
            Cut("activated", _pairs(units)),
            Spend(1),
            Join(),
            *([] if shape.pre_norm else [Cut("sum", self._hidden_pairs)]),
            *self._norm("second", fits.second_norm, before=False),
            *([Cut("output", self._hidden_pairs)] if shape.pre_norm else []),
        ]

    @property
    def _hidden_pairs(self) -> int:
        return _pairs(self.layout.blocks * self.placements.hidden.columns)

    def _norm(self, name: str, series: ChebyshevSeries, *, before: bool) -> list[Step]:
        """A norm, if the layer has one in this place.

        Its factor comes out of a polynomial, so beside a fresh value it is the lower one: a refresh of the
        product makes up for that.
        """
        if self.shape.pre_norm != before:
            return []
        mean = self.shape.norm == "layer"
        side = Side(
            f"{name}.variance",
            _pairs(self.layout.blocks),
            before=2 + mean,
            after=_depth(series) + (not self.shape.pre_norm),
            aside=int(mean),
        )
        return [side, Cut(f"{name}.normalised", self._hidden_pairs)]


def round_name(index: int) -> str:
    """Of the denominators of a round, as they are refreshed."""
    return f"round{index}.{DENOMINATOR}"


def _pairs(ciphertexts: int) -> int:
    """Bootstraps of so many real ciphertexts, two in each."""
    return -(-ciphertexts // 2)


def _depth(series: ChebyshevSeries) -> int:
    return polynomial_depth(series.degree)
