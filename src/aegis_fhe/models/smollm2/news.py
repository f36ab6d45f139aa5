"""Does a decoder predict news as well encrypted as it does exactly?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from aegis_fhe.errors import RangeError
from aegis_fhe.models.evaluation import Evaluation
from aegis_fhe.models.smollm2.accuracy import Accuracy, calibrate_decoder, predicted_accuracy
from aegis_fhe.models.smollm2.checkpoint import SmolLM2
from aegis_fhe.program.capture import capture_network

# How far perplexity may rise, as a share of it.
PERPLEXITY_LIMIT = 0.01
# Bits below a value's bound at which noise is drawn after every operator. Measured: errors of bootstraps have
# a mean size of 2^-24.9; a rescale at N = 2^16 and scale 2^40 leaves a standard deviation of 2^-26.
NOISE_BITS = 22.0
# Texts begin where articles do. Beginnings show the first tokens of a text, where few keys are seen, hundreds
# of times; long texts show thousands of keys.
_BEGINNING = 64
_LONG_TEXTS = 6
_LEAST_TOKENS = 8


def evaluate_news(
    language: SmolLM2,
    articles: Sequence[str],
    *,
    tokens: int,
    texts: int,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Perplexity of `texts` texts of `tokens` tokens each, consecutive articles, exact and simulated.

    Ranges are calibrated on all later articles. Raises RangeError when there are too few.
    """
    public = language.public_ids
    ids = [language.token_ids(article)[len(public) :] for article in articles]
    held_out, used = _texts(public, ids, 0, tokens, texts)
    calibration = _calibration(public, ids[used:], tokens)
    say(f"calibrating on {len(calibration)} texts of {sum(map(len, calibration))} tokens")
    captured = capture_network(language.model.model, torch.ones(1, tokens, dtype=torch.long))
    network, weights = captured.network, captured.weights
    ranges = calibrate_decoder(
        language, network, weights, calibration, origin=f"{len(calibration)} news texts"
    )
    found: list[Accuracy] = []
    for index, text in enumerate(held_out):
        rng = np.random.default_rng(seed + index)
        found.append(
            predicted_accuracy(language, network, weights, ranges, text, noise_bits=NOISE_BITS, rng=rng)
        )
        say(f"text {index + 1} of {texts}: {found[-1].exact:.3f} exact, {found[-1].simulated:.3f} simulated")
    facts = _facts(found, tokens, calibration, seed)
    facts["rounds"] = [softmax.rounds for softmax in ranges.attention.values()]
    title = f"News, SmolLM2-135M-Instruct, {texts} texts of {tokens} tokens"
    return Evaluation(title=title, facts=facts, rows=_rows(facts), params=None)


def _texts(
    public: list[int], ids: Sequence[list[int]], first: int, tokens: int, count: int
) -> tuple[list[list[int]], int]:
    """So many texts of consecutive articles from number `first` on, and the first article in none."""
    found: list[list[int]] = []
    for _ in range(count):
        text = list(public)
        while len(text) < tokens:
            if first == len(ids):
                raise RangeError(f"too few articles for {count} texts of {tokens} tokens: ask for fewer")
            text += ids[first]
            first += 1
        found.append(text[:tokens])
    return found, first


def _calibration(public: list[int], ids: Sequence[list[int]], tokens: int) -> list[list[int]]:
    """Every article's beginning, and long texts spread over all articles."""
    beginnings = [(public + one)[: min(_BEGINNING, tokens)] for one in ids if len(one) >= _LEAST_TOKENS]
    starts = [index * len(ids) // (_LONG_TEXTS + 1) for index in range(_LONG_TEXTS)]
    return beginnings + [_texts(public, ids, start, tokens, 1)[0][0] for start in starts]


def _facts(
    found: Sequence[Accuracy], tokens: int, calibration: Sequence[list[int]], seed: int
) -> dict[str, Any]:
    # The mean over all tokens, of texts of one length.
    exact, simulated = (
        float(np.exp(np.mean(np.log([getattr(one, name) for one in found]))))
        for name in ("exact", "simulated")
    )
    return {
        "evaluation": "smollm2",
        "texts": len(found),
        "tokens": tokens,
        "calibration_texts": len(calibration),
        "calibration_tokens": sum(map(len, calibration)),
        "noise_bits": NOISE_BITS,
        "seed": seed,
        "perplexity": {"exact": exact, "simulated": simulated},
        "perplexity_change": simulated / exact - 1,
        "perplexity_limit": PERPLEXITY_LIMIT,
        "changes": [one.change for one in found],
        "outside_ranges": [list(one.outside) for one in found],
    }


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    perplexity = facts["perplexity"]
    outside = sum(bool(messages) for messages in facts["outside_ranges"])
    return [
        ("perplexity, PyTorch", f"{perplexity['exact']:.4f}"),
        ("the same, simulated", f"{perplexity['simulated']:.4f}"),
        ("change", f"{100 * facts['perplexity_change']:+.3f} % (limit {100 * PERPLEXITY_LIMIT:g} %)"),
        ("change of the worst text", f"{100 * max(facts['changes'], key=abs):+.3f} %"),
        ("layers with rounds of normalisation", str(sum(r > 0 for r in facts["rounds"]))),
        ("texts outside the ranges", f"{outside} of {facts['texts']}"),
    ]
