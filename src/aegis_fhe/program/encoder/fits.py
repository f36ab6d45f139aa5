"""The approximations of one encoder layer, chosen for its calibrated ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.chebyshev import ChebyshevSeries, interpolate
from aegis_fhe.circuits.exponential import fit_exponential
from aegis_fhe.circuits.inverse_sqrt import fit_inverse_sqrt
from aegis_fhe.circuits.polynomial import polynomial_depth
from aegis_fhe.circuits.reciprocal import fit_reciprocal, lowest, relative_error
from aegis_fhe.program.attention_fits import PADDING_SHARE, AttentionFits
from aegis_fhe.program.encoder_ranges import EncoderLayerRanges, TokenIntervals
from aegis_fhe.program.network import Gelu
from aegis_fhe.program.ranges import AttentionRanges, Interval

Array = NDArray[np.float64]

# Degrees one below a power of two use the levels that they take in full.
DEGREES = (15, 31, 63, 127)
# A division begins with fresh values and takes few of their levels.
DIVISION_DEGREES = (*DEGREES, 255)
EXPONENTIAL_DEGREE, EXPONENTIAL_ERROR = 31, 1e-9
ROOT_ERROR, DIVISION_ERROR = 1e-3, 1e-3
ACTIVATION_DEGREE = 63
_NEWTON_POWER = 4  # of the series' error, after two steps
# The smallest share of the largest denominator that a division still reaches.
SMALLEST_DENOMINATOR = lowest(DIVISION_ERROR ** (1 / _NEWTON_POWER), degree=DIVISION_DEGREES[-1])
_GRID = np.linspace(-1.0, 1.0, 4001)


@dataclass(frozen=True, kw_only=True)
class NormFit:
    """1/sqrt(v) of the variances v = factor^2 * variance, factor[kind] so that all kinds reach up to 1.

    Kinds without a factor come out zero.

    scale: of what is squared, so that sums of squares over the features are slope * v.
    """

    series: ChebyshevSeries
    factors: dict[str, float]
    scale: float

    @classmethod
    def of(cls, variance: TokenIntervals, features: int, *, first_token: bool = False) -> NormFit:
        """The smallest degree within ROOT_ERROR. Windows of sums may hold two tokens: v goes up to 2.

        first_token: of the first token alone, whose interval is narrower than that of all; others come out
        zero.
        """
        kinds = {"opening": variance.opening} if first_token else variance.kinds()
        factors = {kind: 1 / math.sqrt(interval.high) for kind, interval in kinds.items()}
        low = 1 / max(interval.high / interval.low for interval in kinds.values())
        series = inverse_sqrt_series(low, 2.0 + low)
        return cls(series=series, factors=factors, scale=math.sqrt(series.slope / features))

    @property
    def depth(self) -> int:
        """Factor, square, series, product."""
        return 3 + polynomial_depth(self.series.degree)


@dataclass(frozen=True, kw_only=True)
class EncoderLayerFits:
    """The series of a layer, and the scale of its second sum while it is refreshed."""

    attention: AttentionFits
    activation: ChebyshevSeries
    norm: NormFit
    residual_scale: float

    @classmethod
    def of(
        cls,
        ranges: EncoderLayerRanges,
        gelu: Gelu,
        features: int,
        max_tokens: int,
        *,
        first_token: bool = False,
    ) -> EncoderLayerFits:
        """Fits for texts of up to max_tokens; first_token: of the result no other token is wanted."""
        return cls(
            attention=_attention_fits(ranges.attention, features, max_tokens),
            activation=activation_series(gelu, ranges.activation),
            norm=NormFit.of(ranges.variance, features, first_token=first_token),
            residual_scale=1 / ranges.residual,
        )

    @property
    def sums_depth(self) -> int:
        """Projection, shear, scores, their placing, exp, attention, and the packing of its two sums."""
        exponential = polynomial_depth(self.attention.exp.degree) + self.attention.squarings
        return 6 + exponential

    @property
    def division_depth(self) -> int:
        """Mask, 1/d with two Newton steps, the output projection."""
        return 1 + polynomial_depth(self.attention.reciprocal.degree) + 3 + 1

    @property
    def first_norm_depth(self) -> int:
        """Square, series, product."""
        return 2 + polynomial_depth(self.attention.inverse_sqrt.degree)

    @property
    def feed_forward_depth(self) -> int:
        """Two projections and the activation."""
        return 2 + polynomial_depth(self.activation.degree)


def activation_series(gelu: Gelu, bound: float) -> ChebyshevSeries:
    """GELU(x) / bound on [-bound, bound]: x / 2 and an even series, so that half of the products vanish."""

    def even(x: Array) -> Array:
        y: Array = gelu.evaluate([x], {}) - x / 2
        return y / bound

    series = np.array(interpolate(even, -bound, bound, ACTIVATION_DEGREE - 1).coefficients)
    series[1::2] = 0.0
    series[1] = 0.5
    return ChebyshevSeries(-bound, bound, (*series.tolist(), 0.0))


def _attention_fits(ranges: AttentionRanges, features: int, max_tokens: int) -> AttentionFits:
    score, denominator, variance = ranges.score, ranges.denominator, ranges.variance
    # Padding keys score the lowest value; max_tokens of them must vanish beside the smallest denominator.
    vanishing = score.high + math.log(PADDING_SHARE * denominator.low / max_tokens)
    exp, squarings = exponential_series(Interval(min(score.low, vanishing), score.high))
    root = inverse_sqrt_series(variance.low, 2 * variance.high + variance.low)
    return AttentionFits(
        exp=exp,
        squarings=squarings,
        reciprocal=reciprocal_series(denominator, DIVISION_DEGREES),
        inverse_sqrt=root,
        norm_scale=math.sqrt(root.slope / features),
    )


def exponential_series(score: Interval) -> tuple[ChebyshevSeries, int]:
    """exp(s - high) by a series and the fewest squarings within EXPONENTIAL_ERROR."""
    middle, half = (score.low + score.high) / 2, (score.high - score.low) / 2
    x = middle + half * _GRID
    for squarings in range(4):
        series = fit_exponential(score.low, score.high, degree=EXPONENTIAL_DEGREE, squarings=squarings)
        if float(np.abs(series(x) ** (2**squarings) - np.exp(x - score.high)).max()) < EXPONENTIAL_ERROR:
            break
    return series, squarings


def reciprocal_series(denominator: Interval, degrees: Sequence[int] = DEGREES) -> ChebyshevSeries:
    """1/d whose error, to the fourth power after two Newton steps, is within DIVISION_ERROR."""
    low, high = denominator.low, denominator.high
    degree = _first(lambda d: relative_error(low, high, degree=d) ** _NEWTON_POWER < DIVISION_ERROR, degrees)
    return fit_reciprocal(low, high, degree=degree)


def inverse_sqrt_series(low: float, high: float) -> ChebyshevSeries:
    """1/sqrt(v) within ROOT_ERROR, relative, up to half of the interval (above lie sums of two tokens)."""
    v = np.geomspace(low, (low + high) / 2, 4000)

    def close(degree: int) -> bool:
        values = fit_inverse_sqrt(low, high, degree=degree)(v)
        return float(np.abs(values * np.sqrt(v) - 1).max()) < ROOT_ERROR

    return fit_inverse_sqrt(low, high, degree=_first(close))


def _first(fits: Callable[[int], bool], degrees: Sequence[int] = DEGREES) -> int:
    """The smallest degree that fits, or the largest."""
    return next((degree for degree in degrees if fits(degree)), degrees[-1])
