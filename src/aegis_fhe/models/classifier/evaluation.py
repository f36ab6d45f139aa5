"""Does an encrypted classifier tell praise from blame as well as the exact one?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aegis_fhe.models.classifier.checkpoint import TextClassifier
from aegis_fhe.models.classifier.recipe import compile_classifier
from aegis_fhe.models.datasets.rotten_tomatoes import Review
from aegis_fhe.models.evaluation import Evaluation
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.encoder import EncoderRanges
from aegis_fhe.program.encoder.noise_bits import noise_bits
from aegis_fhe.program.encoder.simulate import SimulatedEncoder
from aegis_fhe.program.simulate.noise import Noise
from aegis_fhe.program.simulate.outside import Outside

# How many percent points the accuracy may fall.
POINTS_LIMIT = 0.5


def evaluate_classifier(
    classifier: TextClassifier,
    ranges: EncoderRanges,
    reviews: Sequence[Review],
    *,
    seed: int,
    program: CompiledProgram | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Accuracy by PyTorch, and by the program's simulation with the noise bits of its slots.

    program: by default what `compile_classifier` makes. Texts are cut to its tokens.
    """
    program = compile_classifier(classifier, ranges=ranges) if program is None else program
    layers, head = classifier.parts()
    simulated = SimulatedEncoder.of(layers, ranges, max_tokens=program.max_tokens, head=head)

    def embedded(review: Review) -> Any:
        return classifier.embed(classifier.token_ids(review.text, limit=program.max_tokens))

    bits = noise_bits(program, simulated, embedded(reviews[0]), seed=seed)
    noise, outside = Noise(bits, np.random.default_rng(seed)), 0
    exact, found = np.empty((2, len(reviews), len(classifier.labels)))
    for index, review in enumerate(reviews):
        hidden, left = embedded(review), Outside()
        exact[index] = classifier.logits(hidden)
        found[index] = simulated(hidden, noise, left)
        outside += bool(left.messages())
        if (index + 1) % 250 == 0:
            say(f"{index + 1} of {len(reviews)} reviews")
    labels = np.array([review.label for review in reviews])
    sides = [logits.argmax(axis=1) for logits in (exact, found)]
    accuracy = {
        name: float(np.mean(side == labels)) for name, side in zip(("exact", "simulated"), sides, strict=True)
    }
    errors = np.abs(found - exact).max(axis=1)
    facts: dict[str, Any] = {
        "evaluation": "sentiment",
        "test": len(reviews),
        "max_tokens": program.max_tokens,
        "outside_ranges": outside,
        "noise_bits": bits,
        "seed": seed,
        "accuracy": accuracy,
        "changed": int((sides[0] != sides[1]).sum()),
        "logit_error_max": float(errors.max()),
        "logit_error_median": float(np.median(errors)),
        "points_change": 100 * (accuracy["simulated"] - accuracy["exact"]),
        "points_limit": POINTS_LIMIT,
    }
    title = f"Sentiment, {classifier.name}, {len(reviews)} reviews"
    return Evaluation(title=title, facts=facts, rows=_rows(facts), params=program.params)


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    accuracy = facts["accuracy"]
    return [
        ("accuracy, PyTorch", f"{100 * accuracy['exact']:.1f} %"),
        ("the same, simulated", f"{100 * accuracy['simulated']:.1f} %"),
        ("change", f"{facts['points_change']:+.1f} points (limit {facts['points_limit']})"),
        ("other label than with PyTorch", f"{facts['changed']} of {facts['test']}"),
        (
            "error of a logit, median and worst text",
            f"{facts['logit_error_median']:.4f}, {facts['logit_error_max']:.4f}",
        ),
        ("outside the ranges", f"{facts['outside_ranges']} of {facts['test']}"),
    ]
