"""The noise of one value to first order: independent white sources, each weighted in every slot.

A source is a polynomial n of independent centred coefficients of variance 1. Its slots are uncorrelated
circular complex numbers of variance N; a rotation permutes them, a conjugation conjugates them, and both give
slots that are uncorrelated with those before. A circuit maps sources linearly, so a value's noise is

    e[j] = sum_k weights[k][j] * sigma_k(n_k)[j],      k = (source, rotation, conjugation),

and its coefficients have variance sum_k mean_j |weights[k][j]|^2: no covariances are left. Equal k add with
their signs, which is what makes x + x, a square and a polynomial come out right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[Any]


@dataclass(frozen=True)
class Origin:
    """One source, seen through the automorphism that the value has undergone since."""

    source: int
    step: int = 0
    conjugated: bool = False


@dataclass(frozen=True, eq=False)
class SlotNoise:
    """Weights [p] for each origin: float64 or complex128, periodic over the slots, p a power of two.

    Units: 1 is a standard deviation of 1 in every coefficient of the integer polynomial.
    """

    weights: Mapping[Origin, Weights]

    @classmethod
    def of(cls, source: int, weight: float | Weights) -> SlotNoise:
        """A new source; a number weighs all slots alike, and zero is no source at all."""
        weights = np.atleast_1d(np.asarray(weight))
        return cls({Origin(source): weights} if np.any(weights) else {})

    @classmethod
    def sum(cls, noises: Iterable[SlotNoise]) -> SlotNoise:
        """Common origins add, the others stand side by side."""
        total: dict[Origin, Weights] = {}
        for noise in noises:
            for origin, weights in noise.weights.items():
                total[origin] = periodic_sum(total[origin], weights) if origin in total else weights
        return cls(total)

    def times(self, values: float | Weights) -> SlotNoise:
        """Every slot's noise times that slot's value (periodic values: one period)."""
        factor = np.atleast_1d(np.asarray(values))
        return SlotNoise({origin: periodic_product(w, factor) for origin, w in self.weights.items()})

    def rotated(self, step: int, slots: int) -> SlotNoise:
        """Slot j takes what slot j + step had."""
        return SlotNoise(
            {
                replace(origin, step=(origin.step + step) % slots): np.roll(w, -step)
                for origin, w in self.weights.items()
            }
        )

    def conjugate(self) -> SlotNoise:
        """The conjugate in every slot."""
        return SlotNoise(
            {
                replace(origin, conjugated=not origin.conjugated): w.conj()
                for origin, w in self.weights.items()
            }
        )

    def merged(self, limit: int, source: int) -> SlotNoise:
        """At most `limit` origins: the weakest become one new source of the same variance in each slot."""
        if len(self.weights) <= limit:
            return self
        strongest_first = sorted(self.weights, key=lambda origin: -_mean_square(self.weights[origin]))
        kept = {origin: self.weights[origin] for origin in strongest_first[: limit - 1]}
        rest = SlotNoise({origin: self.weights[origin] for origin in strongest_first[limit - 1 :]})
        return SlotNoise({**kept, Origin(source): np.sqrt(rest.variances)})

    @property
    def variances(self) -> Weights:
        """Variance in each slot, [p], in units of the coefficients' variance (a slot's own over N)."""
        total = np.zeros(1)
        for weights in self.weights.values():
            total = periodic_sum(total, np.square(np.abs(weights)))
        return total

    @property
    def std(self) -> float:
        """Standard deviation of the coefficients."""
        return math.sqrt(sum(_mean_square(weights) for weights in self.weights.values()))


def periodic_sum(a: Weights, b: Weights) -> Weights:
    """a + b of two periodic vectors, at the longer period."""
    size = max(a.size, b.size)
    total: Weights = np.tile(a, size // a.size) + np.tile(b, size // b.size)
    return total


def periodic_product(a: Weights, b: Weights) -> Weights:
    """a * b of two periodic vectors, at the longer period."""
    short, long = sorted((a, b), key=np.size)
    product: Weights = (long.reshape(-1, short.size) * short).reshape(-1)
    return product


def _mean_square(weights: Weights) -> float:
    return float(np.mean(np.square(np.abs(weights))))
