"""Where the inputs of the nonlinear functions lie.

Found by calibration, stored in the program, printed in its report.
"""

from __future__ import annotations

import msgspec

from aegis_fhe.errors import RangeError


class Interval(msgspec.Struct, frozen=True):
    """low <= x <= high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise RangeError(f"an interval needs low < high, got [{self.low}, {self.high}]")


class AttentionRanges(msgspec.Struct, frozen=True, kw_only=True):
    """Ranges of one self-attention sub-layer (post-norm), and the shifts that make them narrow.

    Softmax does not change when a number that depends on the query alone is added to a row of scores. The
    program uses s'(i, j) = q_i . (k_j - key_offset_h) / sqrt(C) - anchor_h s(i, i - 1) - shift_h, with
    s(0, -1) read as s(0, 0): the offset and the shift are the best affine prediction of the row's
    log-sum-exp, the anchor serves heads that look at the previous token. Both cost next to nothing encrypted
    and replace rounds of normalisation.

    key_offset: [heads][head_dim]. shift, anchor: [heads]. score: interval of s' over real keys. denominator:
    interval of sum_j exp(s'(i, j) - score.high). variance: interval of the LayerNorm's variance. origin: what
    it was calibrated on.
    """

    key_offset: tuple[tuple[float, ...], ...]
    shift: tuple[float, ...]
    anchor: tuple[float, ...]
    score: Interval
    denominator: Interval
    variance: Interval
    origin: str

    def __post_init__(self) -> None:
        if not len(self.key_offset) == len(self.shift) == len(self.anchor):
            raise RangeError("key offsets, shifts and anchors must be given for the same number of heads")
        if self.denominator.low <= 0 or self.variance.low <= 0:
            raise RangeError("denominators and variances are positive: check the calibration")
