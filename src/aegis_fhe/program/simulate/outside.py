"""What left its calibrated range in a simulation: there polynomials are wrong, far outside they explode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.program.ranges import Interval

Array = NDArray[np.float64]


class Outside:
    """Remembers the extremes of what lay outside, by node and quantity."""

    def __init__(self) -> None:
        self.node = ""
        self._found: dict[tuple[str, str], tuple[Interval, float, float, int]] = {}

    def check(self, quantity: str, values: Array, interval: Interval) -> None:
        """Notes values of the current node that are not in the interval, nan included."""
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if interval.low <= low and high <= interval.high:
            return
        inside = np.count_nonzero((values >= interval.low) & (values <= interval.high))
        key = (self.node, quantity)
        _, lowest, highest, count = self._found.get(key, (interval, low, high, 0))
        missed = count + values.size - int(inside)
        self._found[key] = (interval, min(low, lowest), max(high, highest), missed)

    def messages(self) -> tuple[str, ...]:
        """One line for each node and quantity."""
        return tuple(
            f"{node}: {count} {quantity} outside: they lie in [{low:.4g}, {high:.4g}], "
            f"calibrated [{interval.low:.4g}, {interval.high:.4g}]"
            for (node, quantity), (interval, low, high, count) in self._found.items()
        )
