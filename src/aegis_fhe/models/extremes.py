"""How near the values of one text come to the ends of their calibrated range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.program.ranges import Interval

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Extremes:
    """Smallest and largest value of one quantity in one text, and the interval it was calibrated for."""

    name: str
    low: float
    high: float
    interval: Interval

    @classmethod
    def of(cls, name: str, values: Array, interval: Interval) -> Extremes:
        """Of values of any shape."""
        return cls(name, float(values.min()), float(values.max()), interval)

    @classmethod
    def of_size(cls, name: str, values: Array, bound: float) -> Extremes:
        """Of values whose size is bounded."""
        return cls.of(name, values, Interval(-bound, bound))

    @property
    def share(self) -> float:
        """value / bound at the nearer end, bound / value at an end towards zero: above 1 it is outside."""
        upper = _share(self.high, self.interval.high, outward=self.interval.high > 0)
        return max(upper, _share(self.low, self.interval.low, outward=self.interval.low < 0))

    @property
    def outside(self) -> bool:
        """Does any value leave the interval? Also when it is no number."""
        return not (self.interval.low <= self.low and self.high <= self.interval.high)

    def words(self) -> str:
        """`scores in [-110, 2.4], calibrated [-102, 3.55]`, or `V up to 5.1, calibrated 4.67`."""
        low, high = self.interval.low, self.interval.high
        if low == -high:
            return f"{self.name} up to {max(-self.low, self.high):.4g}, calibrated {high:.4g}"
        return f"{self.name} in [{self.low:.4g}, {self.high:.4g}], calibrated [{low:.4g}, {high:.4g}]"


def _share(value: float, bound: float, *, outward: bool) -> float:
    if outward:
        return value / bound
    return bound / value if value * bound > 0 else math.inf
