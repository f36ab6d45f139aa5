"""A causal language model and its tokenizer: what the client computes around the encrypted layers."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DecoderModel(ABC):
    """An unmodified ...ForCausalLM of transformers in float32, and its tokenizers.Tokenizer."""

    model: Any
    tokenizer: Any

    @property
    @abstractmethod
    def public_ids(self) -> list[int]:
        """Token numbers of what stands before every text, and is public."""

    @property
    @abstractmethod
    def layers(self) -> Sequence[torch.nn.Module]:
        """The decoder layers, first to last."""

    @property
    @abstractmethod
    def norm(self) -> torch.nn.Module:
        """Between the last layer and the scores of tokens."""

    @abstractmethod
    def embed(self, ids: list[int]) -> Array:
        """The hidden states before the first layer [tokens, features]."""

    @property
    def body(self) -> Any:
        """From token ids to the normalised last hidden states: what is captured."""
        return self.model.base_model

    def token_ids(self, text: str) -> list[int]:
        """Token numbers of a text, `public_ids` before them. Raises RangeError for an empty text."""
        if not text.strip():
            raise RangeError("the text is empty: give at least one word")
        return self.public_ids + self.encoded(text)

    def encoded(self, text: str) -> list[int]:
        """Token numbers, without any special token."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def logits(self, final: Array) -> Array:
        """Scores of the next token [tokens, vocabulary] from the normalised last hidden states."""
        with torch.no_grad():
            scores: torch.Tensor = self.model.lm_head(torch.from_numpy(final).float())
        return scores.double().numpy()

    def probabilities(self, hidden: Array) -> Array:
        """Of the next token [tokens, vocabulary], from hidden states after the last layer."""
        with torch.no_grad():
            final: torch.Tensor = self.norm(torch.from_numpy(hidden).float())
        scores = self.logits(final.double().numpy())
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: Array = odds / odds.sum(axis=1, keepdims=True)
        return shares

    def states_after(self, ids: Sequence[int], layers: int) -> Array:
        """The model's own hidden states [tokens, features] after so many layers, in float32."""
        seen: list[torch.Tensor] = []

        def keep(module: torch.nn.Module, inputs: Any, output: Any) -> None:
            seen.append(output[0] if isinstance(output, tuple) else output)

        hook = self.layers[layers - 1].register_forward_hook(keep)
        try:
            with torch.no_grad():
                self.body(torch.tensor([list(ids)]))
        finally:
            hook.remove()
        return seen[0].reshape(len(ids), -1).double().numpy()

    def fingerprint(self) -> str:
        """Digest of all weights: names what a program was compiled from."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().contiguous().numpy().tobytes())
        return digest.hexdigest()
