"""Pooler and classifier on the first token of a frozen encoder: full batches, one seed, early stopping.

Full batches need no order of the texts, so equal seeds give equal weights on equal machines.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError

Array = NDArray[np.float64]

# AdamW's step and decay; the rounds that may pass without a better validation loss, and all of them.
STEP, DECAY = 1e-3, 0.1
PATIENCE, ROUNDS = 25, 400


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedHead:
    """pooler, classifier: float64; the round with the smallest validation loss, of so many."""

    pooler: torch.nn.Linear
    classifier: torch.nn.Linear
    best_round: int
    rounds: int

    def logits(self, first: Array) -> Array:
        """First tokens [n, features] -> [n, labels]."""
        with torch.no_grad():
            found: torch.Tensor = _logits(self.pooler, self.classifier, torch.from_numpy(first))
        return found.numpy()

    def accuracy(self, first: Array, labels: NDArray[np.int64]) -> float:
        """Share of the first tokens [n, features] whose largest logit is their label's."""
        return float(np.mean(self.logits(first).argmax(axis=1) == labels))


def train_head(
    train: tuple[Array, NDArray[np.int64]],
    validation: tuple[Array, NDArray[np.int64]],
    *,
    labels: int,
    seed: int,
) -> TrainedHead:
    """Minimises the cross-entropy of first tokens [n, features] and their labels [n].

    Keeps the weights with the smallest loss on `validation`. Raises RangeError without texts of either.
    """
    if not len(train[0]) or not len(validation[0]):
        raise RangeError("training needs texts to learn from and others to stop by: give more")
    features = train[0].shape[1]
    pooler, classifier = _linear(features, features, seed), _linear(labels, features, seed + 1)
    parameters = [*pooler.parameters(), *classifier.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=STEP, weight_decay=DECAY)
    best, best_round, kept, number = np.inf, 0, copy.deepcopy((pooler, classifier)), 0
    for number in range(1, ROUNDS + 1):
        optimiser.zero_grad()
        _loss(pooler, classifier, train).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            loss = float(_loss(pooler, classifier, validation))
        if loss < best:
            best, best_round, kept = loss, number, copy.deepcopy((pooler, classifier))
        elif number - best_round >= PATIENCE:
            break
    return TrainedHead(pooler=kept[0], classifier=kept[1], best_round=best_round, rounds=number)


def _linear(n_out: int, n_in: int, seed: int) -> torch.nn.Linear:
    """As BERT begins: N(0, 0.02^2), no bias."""
    layer = torch.nn.Linear(n_in, n_out, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.normal_(0.0, 0.02, generator=torch.Generator().manual_seed(seed))
        layer.bias.zero_()
    return layer


def _logits(pooler: torch.nn.Linear, classifier: torch.nn.Linear, first: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = classifier(torch.tanh(pooler(first)))
    return found


def _loss(
    pooler: torch.nn.Linear, classifier: torch.nn.Linear, data: tuple[Array, NDArray[np.int64]]
) -> torch.Tensor:
    logits = _logits(pooler, classifier, torch.from_numpy(data[0]))
    return torch.nn.functional.cross_entropy(logits, torch.from_numpy(data[1]))
