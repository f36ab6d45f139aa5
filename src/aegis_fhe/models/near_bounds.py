"""How often calibration text came near the bounds that it led to, and whether a single text set them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.models.encoder_calibration import encoder_extremes
from aegis_fhe.program.encoder import EncoderLayer, EncoderRanges

Array = NDArray[np.float64]

# Within a tenth of the bound.
NEAR = 0.9


class NearBound(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity of one layer.

    near: texts within a tenth of a bound, margin included. extreme: texts within a tenth of the nearest that
    any text came, without the margin: 1 where one text alone set the range.
    """

    near: int
    extreme: int


class NearBounds(msgspec.Struct, frozen=True, kw_only=True):
    """texts: all. near: those with any value within a tenth of a bound. layers: by layer, by quantity."""

    texts: int
    near: int
    layers: tuple[dict[str, NearBound], ...]

    @property
    def share(self) -> float:
        """Of the texts."""
        return self.near / self.texts


def near_bounds(layers: Sequence[EncoderLayer], ranges: EncoderRanges, texts: Sequence[Array]) -> NearBounds:
    """Of hidden states [n, d] of at least one text; see `Extremes.share` for what near is."""
    shares: list[dict[str, list[float]]] = [{} for _ in layers]
    near = 0
    for hidden in texts:
        largest = 0.0
        for of_layer, found in zip(shares, encoder_extremes(layers, ranges, hidden), strict=True):
            for quantity in found:
                of_layer.setdefault(quantity.name, []).append(quantity.share)
                largest = max(largest, quantity.share)
        near += largest > NEAR
    return NearBounds(
        texts=len(texts),
        near=near,
        layers=tuple({name: _count(found) for name, found in of_layer.items()} for of_layer in shares),
    )


def _count(shares: Sequence[float]) -> NearBound:
    array = np.array(shares)
    return NearBound(near=int((array > NEAR).sum()), extreme=int((array > NEAR * array.max()).sum()))
