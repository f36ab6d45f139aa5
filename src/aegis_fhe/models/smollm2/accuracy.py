"""What encryption is predicted to cost in perplexity, at any length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aegis_fhe.models.network_calibration import calibrate_network
from aegis_fhe.models.smollm2.checkpoint import SmolLM2
from aegis_fhe.models.smollm2.evaluation import perplexity
from aegis_fhe.program.network import Network
from aegis_fhe.program.network.operators import Weights
from aegis_fhe.program.simulate import NetworkRanges, simulate


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """One row of a table: exact is the model's own perplexity; outside: what left its calibrated range."""

    tokens: int
    noise_bits: float
    exact: float
    simulated: float
    outside: tuple[str, ...]

    @property
    def change(self) -> float:
        """simulated / exact - 1."""
        return self.simulated / self.exact - 1


def calibrate_decoder(
    language: SmolLM2, network: Network, weights: Weights, texts: Sequence[Sequence[int]], *, origin: str
) -> NetworkRanges:
    """Ranges of the decoder's network on token numbers of sample texts, the public ones first in each."""
    hidden, public = [language.embed(list(ids)) for ids in texts], len(language.public_ids)
    return calibrate_network(network, weights, hidden, public_tokens=public, origin=origin)


def predicted_accuracy(
    language: SmolLM2,
    network: Network,
    weights: Weights,
    ranges: NetworkRanges,
    ids: Sequence[int],
    *,
    noise_bits: float,
    rng: np.random.Generator,
) -> Accuracy:
    """Perplexity of one text by the model and by a simulation of its encrypted program (`simulate`).

    network: of the decoder layers and the final norm. ids: the public ones first.
    """
    hidden = language.embed(list(ids))
    found = simulate(network, weights, ranges, hidden, noise_bits=noise_bits, rng=rng)
    return Accuracy(
        tokens=len(ids),
        noise_bits=noise_bits,
        exact=perplexity(language, ids),
        simulated=perplexity(language, ids, found.values),
        outside=found.outside,
    )
