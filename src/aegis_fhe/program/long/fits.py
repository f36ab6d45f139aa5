"""The polynomials of a layer on its calibrated ranges."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aegis_fhe.circuits.chebyshev import ChebyshevSeries, interpolate
from aegis_fhe.circuits.exponential import fit_exponential
from aegis_fhe.circuits.inverse_sqrt import fit_inverse_sqrt
from aegis_fhe.circuits.reciprocal import fit_reciprocal
from aegis_fhe.errors import RangeError
from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.long.shape import Degrees, LayerRanges, LayerShape
from aegis_fhe.program.network import Gelu, Silu
from aegis_fhe.program.ranges import Interval


@dataclass(frozen=True, kw_only=True)
class RoundFit:
    """1/D of one round of normalise-and-square."""

    reciprocal: ChebyshevSeries
    newton_steps: int


@dataclass(frozen=True, kw_only=True)
class LayerFits:
    """exp (before its squarings), 1/(slope D), both 1/sqrt, and the activation over its bound.

    With r rounds exp is that of scores over 2^r: of `exponential` it is again the power 2^squarings.
    A norm before the sum multiplies hidden states over their bound by 1/sqrt: that series is scaled so that
    the result comes over its own bound.
    """

    exponential: ChebyshevSeries
    squarings: int
    reciprocal: ChebyshevSeries
    newton_steps: int
    first_norm: ChebyshevSeries
    second_norm: ChebyshevSeries
    activation: ChebyshevSeries
    rounds: tuple[RoundFit, ...] = ()

    @classmethod
    def of(cls, shape: LayerShape, ranges: LayerRanges, degrees: Degrees) -> LayerFits:
        """Fits of the given degrees.

        Raises RangeError for an interval outside a function's domain, and for degrees of other rounds.
        """
        if len(degrees.rounds) != len(ranges.rounds):
            raise RangeError(
                f"the ranges have {len(ranges.rounds)} rounds of normalise-and-square, the degrees "
                f"{len(degrees.rounds)}: choose degrees for these ranges (`choose_degrees`)"
            )

        def root(interval: Interval, stored: float) -> ChebyshevSeries:
            series = fit_inverse_sqrt(interval.low, interval.high, degree=degrees.inverse_sqrt)
            return series.scaled(stored / ranges.normalised) if shape.pre_norm else series

        score, denominator = ranges.score, ranges.denominator
        halvings = degrees.squarings + len(ranges.rounds)
        reciprocal = fit_reciprocal(denominator.low, denominator.high, degree=degrees.reciprocal)
        return cls(
            exponential=fit_exponential(
                score.low, score.high, degree=degrees.exponential, squarings=halvings
            ).scaled(math.exp(ranges.excess / 2**halvings)),
            squarings=degrees.squarings,
            reciprocal=reciprocal.scaled(1 / reciprocal.slope),
            newton_steps=degrees.newton_steps,
            first_norm=root(ranges.first_norm, ranges.hidden),
            second_norm=root(ranges.second_norm, ranges.middle_bound),
            activation=activation_series(shape.activation, ranges.activation, degrees.activation),
            rounds=tuple(
                RoundFit(
                    reciprocal=fit_reciprocal(interval.low, interval.high, degree=degree), newton_steps=steps
                )
                for interval, (degree, steps) in zip(ranges.rounds, degrees.rounds, strict=True)
            ),
        )


def activation_series(function: Gelu | Silu, bound: float, degree: int) -> ChebyshevSeries:
    """f(x) / bound on [-bound, bound]: f(x) - x / 2 is even, so half of the series vanishes."""

    def even(x: Array) -> Array:
        y: Array = (function.evaluate([x], {}) - x / 2) / bound
        return y

    series = np.zeros(degree + 1)
    series[:-1] = interpolate(even, -bound, bound, degree - 1).coefficients
    series[1::2] = 0.0
    series[1] = 0.5
    return ChebyshevSeries(-bound, bound, tuple(series.tolist()))
