"""Where the values of a network lie: calibrated, for every node by name."""

from __future__ import annotations

import msgspec

from aegis_fhe.errors import RangeError
from aegis_fhe.program.encoder_ranges import TokenIntervals
from aegis_fhe.program.ranges import Interval


class SoftmaxRanges(msgspec.Struct, frozen=True, kw_only=True):
    """The shifts that keep one attention's scores narrow, and the ranges that remain.

    s'(i, j) = scale q_i . (k_j - key_offset_h) - shift_h - growth_h log(visible(i)), where token i sees
    visible(i) keys. All that is subtracted depends on the query and its place alone, so softmax stays the
    same; the offset costs a sum with a plaintext, the two others are one plaintext.

    key_offset: [heads][head_dim]. shift, growth: [heads]. score: interval of s', its upper end at or above
    every log-sum-exp. unit: the score whose exponential is 1, by default that end; what lies above becomes
    larger than 1 for free, where all else would become smaller, and so less exact. rounds: how often
    exp((s' - unit) / 2^rounds) is divided by its sum and squared. denominators:
    interval of the sum at each division, rounds + 1 of them.
    """

    key_offset: tuple[tuple[float, ...], ...]
    shift: tuple[float, ...]
    growth: tuple[float, ...]
    score: Interval
    rounds: int
    denominators: tuple[Interval, ...]
    unit: float | None = None

    @property
    def excess(self) -> float:
        """How far the scores reach above the unit."""
        return 0.0 if self.unit is None else self.score.high - self.unit

    def __post_init__(self) -> None:
        if len(self.denominators) != self.rounds + 1:
            raise RangeError(f"{self.rounds} rounds take {self.rounds + 1} denominators: calibrate again")
        if min(interval.low for interval in self.denominators) <= 0:
            raise RangeError("denominators are positive: check the calibration")


class NetworkRanges(msgspec.Struct, frozen=True, kw_only=True):
    """Ranges of every node, margins included.

    bounds: on the size of every value, the input's included. attention, variance: of attentions, and of what
    norms divide by (LayerNorm: the variance, RmsNorm: the mean square). public_tokens: so many tokens at the
    start of every text are public and computed in clear; no range covers them.
    """

    bounds: dict[str, float]
    attention: dict[str, SoftmaxRanges]
    variance: dict[str, TokenIntervals]
    public_tokens: int
    origin: str
