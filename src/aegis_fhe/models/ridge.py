"""A linear classifier in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RidgeHead:
    """sign(x . weight + intercept) for vectors x [n, features]."""

    weight: Array
    intercept: float

    @classmethod
    def fit(cls, x: Array, labels: Array, *, penalty: float) -> RidgeHead:
        """argmin |x w + b - y|^2 + penalty |w|^2, with y = +-1; the intercept is not penalised.

        x: [n, features]; labels: [n], each +1 or -1. Raises RangeError for other labels or no penalty.
        """
        if not penalty > 0 or not np.isin(labels, (-1.0, 1.0)).all():
            raise RangeError("a ridge head takes labels of +1 and -1, and a positive penalty")
        centre, mean = x.mean(axis=0), float(labels.mean())
        centred = x - centre
        gram = centred.T @ centred + penalty * np.eye(x.shape[1])
        weight: Array = np.linalg.solve(gram, centred.T @ (labels - mean))
        return cls(weight, mean - float(centre @ weight))

    def accuracy(self, x: Array, labels: Array) -> float:
        """Share of the vectors on their label's side."""
        return float(np.mean(np.sign(x @ self.weight + self.intercept) == labels))
