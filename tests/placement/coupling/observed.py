"""What a function of an array ties together along one axis, seen by changing its argument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from aegis_fhe.placement.coupling import Coupling, coupling

Array = np.ndarray


@dataclass
class Observer:
    """redraw: other numbers for all of an argument. same: elementwise, whether two results agree.

    Index i is read at index o of the result where changing i changes something there. Contributions of i and
    j add up where f(i', j') - f(i', j) = f(i, j') - f(i, j).
    """

    function: Callable[[Array], Array]
    x: Array
    redraw: Callable[[Array], Array]
    same: Callable[[Array, Array], Array]
    known: dict[tuple[int, int, int], Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.base, self.other = self.function(self.x), self.redraw(self.x)

    def coupling(self, axis: int) -> Coupling:
        """Along one axis of the argument, the same one of the result."""
        changed = [
            self.same(self.function(self._with(axis, i)), self.base) for i in range(self.x.shape[axis])
        ]
        readings = []
        for o in range(self.base.shape[axis]):
            reads = [i for i, kept in enumerate(changed) if not kept.take(o, axis).all()]
            adds = all(self._adding(axis, i, j).take(o, axis).all() for i, j in pairwise(reads))
            readings.append((o, frozenset(reads), adds))
        return coupling(readings)

    def _adding(self, axis: int, i: int, j: int) -> Array:
        if (axis, i, j) not in self.known:
            one, two, both = (self.function(self._with(axis, *ij)) for ij in ((i,), (j,), (i, j)))
            self.known[axis, i, j] = self.same(both - one, two - self.base)
        return self.known[axis, i, j]

    def _with(self, axis: int, *indices: int) -> Array:
        changed = self.x.copy()
        for index in indices:
            where = (slice(None),) * axis + (index,)
            changed[where] = self.other[where]
        return changed
