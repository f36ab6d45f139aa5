"""A sentence encoder on a vocabulary of sixteen numbers: texts like "3 5 7", in the tiny encoder's ranges."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from aegis_fhe.models.minilm.sentences import SentenceModels
from aegis_fhe.program.encoder.simulate import SimulatedEncoder
from aegis_fhe.program.returns import TokenMean
from program.encoder.tiny_encoder import texts, tiny_encoder
from service.stand_in import StandIn, stand_in


def numbers_encoder() -> StandIn:
    layers, _ = tiny_encoder(16, mean=True)
    encoder = stand_in(layers)
    table = torch.from_numpy(texts(3, 16, seed=11)[0]).float()
    encoder.model.embeddings = lambda input_ids: table[input_ids]
    encoder.tokenizer.encode = lambda text: SimpleNamespace(ids=[int(word) for word in text.split()])
    return encoder


def sentence_models() -> SentenceModels:
    layers, program = tiny_encoder(16, mean=True)
    return SentenceModels(
        encoder=numbers_encoder(),
        program=program,
        simulated=SimulatedEncoder.of(layers, program.ranges, max_tokens=16, head=TokenMean()),
    )


def random_texts(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(map(str, rng.integers(0, 16, length))) for length in rng.integers(3, 20, count)]
