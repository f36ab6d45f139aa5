"""GPT-2 in Hugging Face format: learned positions are the client's, all else is as in other decoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError
from aegis_fhe.models.checkpoint_folder import load_decoder_folder
from aegis_fhe.models.decoder_model import DecoderModel

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GPT2(DecoderModel):
    """GPT2LMHeadModel and its tokenizer.

    Every text follows <|endoftext|>, which is public: attention collects on a text's first token, whichever
    it is, and its hidden states are far from all others'.
    """

    @classmethod
    def load(cls, folder: Path) -> GPT2:
        """A folder, or owner/name of the Hugging Face hub. Raises AegisError, UnsupportedModuleError."""
        return cls(*load_decoder_folder(folder, "gpt2"))

    @property
    def public_ids(self) -> list[int]:
        """The start of a text."""
        return [int(self.model.config.bos_token_id)]

    @property
    def layers(self) -> Sequence[torch.nn.Module]:
        """The blocks."""
        blocks: Sequence[torch.nn.Module] = self.model.transformer.h
        return blocks

    @property
    def norm(self) -> torch.nn.Module:
        """ln_f."""
        module: torch.nn.Module = self.model.transformer.ln_f
        return module

    def embed(self, ids: list[int]) -> Array:
        """Words and positions. Raises RangeError for more tokens than there are positions."""
        positions = int(self.model.config.n_positions)
        if len(ids) > positions:
            raise RangeError(
                f"the text has {len(ids)} tokens, the model knows {positions} positions: shorten it"
            )
        body = self.model.transformer
        with torch.no_grad():
            hidden: torch.Tensor = body.wte(torch.tensor(ids)) + body.wpe(torch.arange(len(ids)))
        return hidden.double().numpy()
