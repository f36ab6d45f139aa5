"""The closed form is the minimum of what it minimises, and the intercept is free."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.errors import RangeError
from aegis_fhe.models.ridge import RidgeHead

RNG = np.random.default_rng(8)
X = RNG.normal(size=(60, 5)) + 3.0
LABELS = np.where(X[:, 0] + 0.3 * RNG.normal(size=60) > 3.0, 1.0, -1.0)


def test_no_other_weights_are_better():
    head = RidgeHead.fit(X, LABELS, penalty=3.0)

    def loss(weight, intercept):
        return np.sum((X @ weight + intercept - LABELS) ** 2) + 3.0 * np.sum(weight**2)

    best = loss(head.weight, head.intercept)
    for _ in range(50):
        step = 1e-3 * RNG.normal(size=6)
        assert loss(head.weight + step[:5], head.intercept + step[5]) > best


def test_accuracy_counts_sides():
    head = RidgeHead.fit(X, LABELS, penalty=0.01)
    assert head.accuracy(X, LABELS) > 0.85
    assert head.accuracy(X, -LABELS) == pytest.approx(1 - head.accuracy(X, LABELS))
    shifted = RidgeHead.fit(X + 100.0, LABELS, penalty=0.01)
    np.testing.assert_allclose(shifted.weight, head.weight, atol=1e-9)


@pytest.mark.parametrize(("labels", "penalty"), [(LABELS, 0.0), ((LABELS + 1) / 2, 3.0)])
def test_other_labels_and_no_penalty_are_refused(labels, penalty):
    with pytest.raises(RangeError, match=r"\+1 and -1"):
        RidgeHead.fit(X, labels, penalty=penalty)
