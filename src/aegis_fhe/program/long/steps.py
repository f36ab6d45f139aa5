"""A layer as the chain of steps that `levels` searches; `graph` builds nodes in the same order."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_fhe.circuits.chebyshev import ChebyshevSeries
from aegis_fhe.circuits.polynomial import polynomial_depth
from aegis_fhe.program.long.fits import LayerFits
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.levels import Cut, Fork, Join, Side, Spend, Step
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
    def of(cls, shape: LayerShape, layout: GridLayout) -> LayerPlacements:
        """Dense hidden states and units, head-minor queries and keys."""
        heads, dim, size = shape.heads, shape.head_dim, layout.sub_slots
        return cls(
            hidden=Placement.dense(shape.features, size),
            queries=Placement.head_minor(heads, dim, layout),
            keys=Placement.head_minor(heads, dim, layout, shape.key_value_heads),
            units=Placement.dense(shape.hidden, size),
        )


# Constants that a layer may have: offsets of keys and the growth of scores' shifts, which keep scores narrow;
# keys and values of public tokens.
KNOWN = frozenset({"key.offset", "score.growth", "key.public", "value.public"})


@dataclass(frozen=True)
class LayerPlan:
    """A layer's shape with its layout, its fits, and whether scores are masked.

    known: what is added in clear, of `KNOWN`. most_babies: how many rotated inputs an operator holds at a
    time, None for as many as take the fewest rotations.
    """

    shape: LayerShape
    layout: GridLayout
    fits: LayerFits
    masked: bool
    known: frozenset[str] = frozenset()
    most_babies: int | None = None

    @property
    def placements(self) -> LayerPlacements:
        """Where its values lie."""
        return LayerPlacements.of(self.shape, self.layout)

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
    def probability_depth(self) -> int:
        """Levels from queries and keys to probabilities: the product, exp, the mask."""
        return 1 + _depth(self.fits.exponential) + self.fits.squarings + self.masked

    def steps(self) -> list[Step]:
        """The whole layer."""
        return [*self._attention(), *self._feed_forward()]

    def _attention(self) -> list[Step]:
        fits, blocks, places = self.fits, self.layout.blocks, self.placements
        return [
            Fork(),
            *self._norm("first", fits.first_norm, before=True),
            Spend(1 + self.placed + self.probability_depth + 1),
            # D lies one level above the sums, so its mask costs them nothing.
            Side("denominator", places.queries.groups * _pairs(blocks), 0, self.reciprocal.depth),
            Cut("attended", _pairs(blocks * places.queries.columns)),
            Spend(1),
            Join(),
            Cut("middle", self._hidden_pairs),
            *self._norm("first", fits.first_norm, before=False),
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


def _pairs(ciphertexts: int) -> int:
    """Bootstraps of so many real ciphertexts, two in each."""
    return -(-ciphertexts // 2)


def _depth(series: ChebyshevSeries) -> int:
    return polynomial_depth(series.degree)
