"""Where the values of an encoder's layers lie: calibrated, stored in the program."""

from __future__ import annotations

import msgspec

from aegis_fhe.errors import RangeError
from aegis_fhe.program.ranges import AttentionRanges, Interval


class TokenIntervals(msgspec.Struct, frozen=True, kw_only=True):
    """One interval for the text's first token, one for its last, one for all between.

    Special tokens stand at public positions and are often far outside what words show: in MiniLM-L6 the
    variance of the first token is 250 times that of a word, but nearly the same in every text.
    """

    opening: Interval
    inner: Interval
    closing: Interval

    def kinds(self) -> dict[str, Interval]:
        """By their names."""
        return {"opening": self.opening, "inner": self.inner, "closing": self.closing}

    @property
    def whole(self) -> Interval:
        """From the lowest to the highest of all kinds."""
        kinds = self.kinds().values()
        return Interval(min(i.low for i in kinds), max(i.high for i in kinds))


class EncoderLayerRanges(msgspec.Struct, frozen=True, kw_only=True):
    """Ranges of one layer, margins included.

    attention: of the first sub-layer. hidden, value, middle, activation, residual: bounds on the size of
    the layer's input, of the values V, of the first LayerNorm's result, of what the activation is applied to,
    and of the second sum less its mean.
    variance: of the second LayerNorm.
    """

    attention: AttentionRanges
    hidden: float
    value: float
    middle: float
    activation: float
    residual: float
    variance: TokenIntervals

    def __post_init__(self) -> None:
        if min(self.hidden, self.value, self.middle, self.activation, self.residual) <= 0:
            raise RangeError("bounds are positive: check the calibration")


class HeadRanges(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on the size of what the pooler's tanh is applied to, and of the logits, where there are any.

    Margins included. Raises RangeError for a bound that is not positive.
    """

    pooler: float
    logits: float | None = None

    def __post_init__(self) -> None:
        if not (self.pooler > 0 and (self.logits is None or self.logits > 0)):
            raise RangeError("bounds are positive: check the calibration")


class EncoderRanges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Ranges of every layer, a bound on the size of the last one's output, and those of a head."""

    layers: tuple[EncoderLayerRanges, ...]
    output: float
    origin: str
    head: HeadRanges | None = None

    def bounds(self) -> list[float]:
        """Of the hidden states before every layer, and after the last."""
        return [*(layer.hidden for layer in self.layers), self.output]
