"""The head on the first token with the program's polynomial, and with noise instead of ciphertexts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.program.encoder.head import FirstToken
from aegis_fhe.program.encoder.pooled import PooledFits, ranges_of_head
from aegis_fhe.program.encoder_ranges import HeadRanges
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.simulate.noise import Noise
from aegis_fhe.program.simulate.outside import Outside

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedHead:
    """A head, its ranges and fits."""

    head: FirstToken
    ranges: HeadRanges
    fits: PooledFits

    @classmethod
    def of(cls, head: FirstToken, ranges: HeadRanges | None) -> SimulatedHead:
        """Raises RangeError for ranges of another head."""
        return cls(head=head, ranges=ranges_of_head(head, ranges), fits=PooledFits.of(head, ranges))

    def __call__(self, first: Array, noise: Noise, outside: Outside) -> Array:
        """The first token's hidden state [1, features] -> [1, features], or logits [labels]."""
        outside.node, bound = "head", self.ranges.pooler
        argument = noise.on(self.head.argument(first), bound)
        outside.check("tanh inputs", argument, Interval(-bound, bound))
        values = self.head.classify(noise.on(self.fits.tanh(argument), 1.0))
        if self.ranges.logits is None:
            return values
        outside.check("logits", values, Interval(-self.ranges.logits, self.ranges.logits))
        return noise.on(values[0], self.ranges.logits)
