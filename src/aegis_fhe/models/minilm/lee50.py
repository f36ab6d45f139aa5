"""Do similarities of encrypted news texts agree with people as well as exact ones do?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from aegis_fhe.models.datasets.lee import Lee50
from aegis_fhe.models.evaluation import Evaluation
from aegis_fhe.models.minilm.sentences import SentenceModels
from aegis_fhe.program.encoder.noise_bits import noise_bits
from aegis_fhe.program.simulate.noise import Noise

Array = NDArray[np.float64]

# How far the rank correlation may fall.
SPEARMAN_LIMIT = 0.005


def evaluate_lee50(
    models: SentenceModels, data: Lee50, *, seed: int, say: Callable[[str], None] = lambda line: None
) -> Evaluation:
    """Correlation of cosines with people's similarities, over all pairs of documents.

    By PyTorch, by the program's slots with noise, and by its simulation on whole texts.
    """
    rng, count = np.random.default_rng(seed), len(data.documents)
    hidden = [models.hidden(document) for document in data.documents]
    bits = noise_bits(models.program, models.simulated, hidden[0], seed=seed)
    exact = np.array([models.exact(one) for one in hidden])
    on_texts = [models.on_text(one, Noise(bits, rng)) for one in hidden]
    whole = np.array([vector for vector, _ in on_texts])
    slots = np.empty_like(exact)
    for index, one in enumerate(hidden):
        slots[index] = models.on_slots(one, seed=seed + index)
        if (index + 1) % 10 == 0:
            say(f"{index + 1} of {count} documents")
    vectors = {"exact": exact, "simulated": slots, "simulated_on_texts": whole}
    facts: dict[str, Any] = {
        "evaluation": "lee50",
        "documents": count,
        "max_tokens": models.program.max_tokens,
        "cut": sum(len(one) == models.program.max_tokens for one in hidden),
        "outside_ranges": sum(outside for _, outside in on_texts),
        "noise_bits": bits,
        "seed": seed,
        "spearman": {name: _correlation(data, x, spearmanr) for name, x in vectors.items()},
        "pearson": {name: _correlation(data, x, pearsonr) for name, x in vectors.items()},
        "cosine_to_exact_min": float((exact * slots).sum(axis=1).min()),
        "cosine_of_simulations_min": float((whole * slots).sum(axis=1).min()),
    }
    facts["spearman_change"] = facts["spearman"]["simulated"] - facts["spearman"]["exact"]
    facts["spearman_limit"] = SPEARMAN_LIMIT
    title = f"Lee-50, {models.encoder.name}, {count} documents of up to {models.program.max_tokens} tokens"
    return Evaluation(title=title, facts=facts, rows=_rows(facts), params=models.program.params)


def _correlation(data: Lee50, vectors: Array, measure: Callable[[Array, Array], Any]) -> float:
    return float(measure(data.pairs(vectors @ vectors.T), data.pairs(data.similarity)).statistic)


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    spearman, pearson = facts["spearman"], facts["pearson"]
    return [
        ("Spearman with people, PyTorch", f"{spearman['exact']:.4f}"),
        ("the same, simulated", f"{spearman['simulated']:.4f}"),
        ("change", f"{facts['spearman_change']:+.4f} (limit {facts['spearman_limit']})"),
        ("Pearson, PyTorch and simulated", f"{pearson['exact']:.4f}, {pearson['simulated']:.4f}"),
        ("cosine to PyTorch's embedding, worst", f"{facts['cosine_to_exact_min']:.6f}"),
        ("cosine of the two simulations, worst", f"{facts['cosine_of_simulations_min']:.6f}"),
        ("texts outside the ranges", f"{facts['outside_ranges']} of {facts['documents']}"),
    ]
