"""How often calibration text came near the bounds that it led to, and whether a single text set them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.models.encoder_calibration import encoder_extremes
from aegis_fhe.program.encoder import EncoderLayer, EncoderRanges, Head
from aegis_fhe.program.returns import HIDDEN_STATES

Array = NDArray[np.float64]

# Within a tenth of the bound.
NEAR = 0.9


class NearBound(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity of one layer, or of the head.

    near: texts within a tenth of a bound, margin included. extreme: texts within a tenth of the nearest that
    any text came, without the margin: 1 where one text alone set the range.
    """

    near: int
    extreme: int


class NearBounds(msgspec.Struct, frozen=True, kw_only=True):
    """texts: all. near: those with any value within a tenth of a bound. layers: by layer, by quantity.

    head: by quantity; nothing where there is none.
    """

    texts: int
    near: int
    layers: tuple[dict[str, NearBound], ...]
    head: dict[str, NearBound] = {}

    @property
    def share(self) -> float:
        """Of the texts."""
        return self.near / self.texts


def near_bounds(
    layers: Sequence[EncoderLayer],
    ranges: EncoderRanges,
    texts: Sequence[Array],
    *,
    head: Head = HIDDEN_STATES,
) -> NearBounds:
    """Of hidden states [n, d] of at least one text; see `Extremes.share` for what near is."""
    shares: dict[str, dict[str, list[float]]] = {}
    near = 0
    for hidden in texts:
        largest = 0.0
        for part, found in encoder_extremes(layers, ranges, hidden, head=head).items():
            for quantity in found:
                shares.setdefault(part, {}).setdefault(quantity.name, []).append(quantity.share)
                largest = max(largest, quantity.share)
        near += largest > NEAR
    counts = {
        part: {name: _count(found) for name, found in of_part.items()} for part, of_part in shares.items()
    }
    of_head = counts.pop("head", {})
    return NearBounds(texts=len(texts), near=near, layers=tuple(counts.values()), head=of_head)


def _count(shares: Sequence[float]) -> NearBound:
    array = np.array(shares)
    return NearBound(near=int((array > NEAR).sum()), extreme=int((array > NEAR * array.max()).sum()))
