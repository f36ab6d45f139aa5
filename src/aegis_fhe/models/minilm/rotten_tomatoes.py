"""Does a linear head tell praise from blame on encrypted embeddings as well as on exact ones?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.models.datasets.rotten_tomatoes import Review
from aegis_fhe.models.evaluation import Evaluation
from aegis_fhe.models.minilm.sentences import SentenceModels
from aegis_fhe.models.ridge import RidgeHead
from aegis_fhe.program.encoder.noise_bits import noise_bits
from aegis_fhe.program.simulate.noise import Noise

Array = NDArray[np.float64]

PENALTY = 3.0
# How many percent points the accuracy may fall.
POINTS_LIMIT = 0.5


def evaluate_rotten_tomatoes(
    models: SentenceModels,
    train: Sequence[Review],
    test: Sequence[Review],
    *,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Accuracy on `test` of a head trained on exact embeddings of `train`, and of one on simulated ones.

    Simulated on whole texts (`SimulatedEncoder`), with the noise bits of the program's slots.
    """
    reviews = [*train, *test]
    hidden = models.hidden(reviews[0].text)
    bits = noise_bits(models.program, models.simulated, hidden, seed=seed)
    exact, simulated = np.empty((2, len(reviews), hidden.shape[1]))
    noise, outside = Noise(bits, np.random.default_rng(seed)), np.zeros(len(reviews), dtype=bool)
    for index, review in enumerate(reviews):
        hidden = models.hidden(review.text)
        exact[index] = models.exact(hidden)
        simulated[index], outside[index] = models.on_text(hidden, noise)
        if (index + 1) % 250 == 0:
            say(f"{index + 1} of {len(reviews)} reviews")
    labels = np.array([2.0 * review.label - 1.0 for review in reviews])
    learned, asked = slice(0, len(train)), slice(len(train), None)
    cosines = (exact * simulated).sum(axis=1)
    facts: dict[str, Any] = {
        "evaluation": "rotten-tomatoes",
        "train": len(train),
        "test": len(test),
        "max_tokens": models.program.max_tokens,
        "outside_ranges": {"train": int(outside[learned].sum()), "test": int(outside[asked].sum())},
        "noise_bits": bits,
        "seed": seed,
        "penalty": PENALTY,
        "accuracy": _accuracies(exact, simulated, labels, len(train)),
        "cosine_to_exact_min": float(cosines.min()),
        "cosine_to_exact_median": float(np.median(cosines)),
    }
    accuracy = facts["accuracy"]
    facts["points_change"] = 100 * (accuracy["simulated"] - accuracy["exact"])
    facts["points_limit"] = POINTS_LIMIT
    title = f"rotten_tomatoes, ridge head on {models.encoder.name}, {len(train)} + {len(test)} reviews"
    return Evaluation(title=title, facts=facts, rows=_rows(facts), params=models.program.params)


def _accuracies(exact: Array, simulated: Array, labels: Array, train: int) -> dict[str, float | int]:
    """changed: test reviews on whose label the head trained on exact vectors changes its mind."""
    head = RidgeHead.fit(exact[:train], labels[:train], penalty=PENALTY)
    own = RidgeHead.fit(simulated[:train], labels[:train], penalty=PENALTY)
    sides = [np.sign(x[train:] @ head.weight + head.intercept) for x in (exact, simulated)]
    return {
        "exact": head.accuracy(exact[train:], labels[train:]),
        "simulated": head.accuracy(simulated[train:], labels[train:]),
        "trained_on_simulated": own.accuracy(simulated[train:], labels[train:]),
        "changed": int((sides[0] != sides[1]).sum()),
    }


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    accuracy, outside = facts["accuracy"], facts["outside_ranges"]
    return [
        ("accuracy, PyTorch", f"{100 * accuracy['exact']:.1f} %"),
        ("the same head, simulated", f"{100 * accuracy['simulated']:.1f} %"),
        ("change", f"{facts['points_change']:+.1f} points (limit {facts['points_limit']})"),
        ("a head trained on simulated embeddings", f"{100 * accuracy['trained_on_simulated']:.1f} %"),
        ("other label than with PyTorch", f"{accuracy['changed']} of {facts['test']}"),
        (
            "cosine to PyTorch's embedding, median and worst",
            f"{facts['cosine_to_exact_median']:.6f}, {facts['cosine_to_exact_min']:.6f}",
        ),
        ("outside the ranges, train and test", f"{outside['train']} and {outside['test']}"),
    ]
