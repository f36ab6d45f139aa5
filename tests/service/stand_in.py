"""A text encoder that is real but for its checkpoint: one token per word, embeddings from a small table."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.program.encoder import EncoderLayer
from aegis_fhe.program.returns import TokenMean
from program.encoder.tiny_encoder import reference, texts

POSITIONS = 512


class StandIn(TextEncoder):
    """Its fingerprint is that of no checkpoint."""

    def fingerprint(self) -> str:
        return "tiny"

    def parts(self) -> tuple[list[EncoderLayer], TokenMean]:
        return self.model.layers, TokenMean()


def stand_in(layers: list[EncoderLayer]) -> StandIn:
    """Token i of any text is embedded as row i of an input inside the tiny ranges."""
    rows = torch.from_numpy(texts(3, 16, seed=11)[0]).float().repeat(POSITIONS // 16, 1)

    def encode(hidden: torch.Tensor) -> SimpleNamespace:
        states = np.stack([reference(layers, one.double().numpy()) for one in hidden])
        return SimpleNamespace(last_hidden_state=torch.from_numpy(states).float())

    model = SimpleNamespace(
        config=SimpleNamespace(hidden_size=rows.shape[1], max_position_embeddings=POSITIONS),
        embeddings=lambda input_ids: rows[None, : input_ids.shape[1]],
        encoder=encode,
        layers=layers,
    )
    tokenizer = SimpleNamespace(encode=lambda text: SimpleNamespace(ids=list(range(len(text.split())))))
    return StandIn(Path("tiny"), model, tokenizer)
