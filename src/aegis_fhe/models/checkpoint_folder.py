"""A checkpoint in Hugging Face format: config.json, model.safetensors, tokenizer.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from aegis_fhe.errors import AegisError, UnsupportedModuleError
from aegis_fhe.models.config_file import read_config
from aegis_fhe.models.hub import model_folder

FILES = ("config.json", "model.safetensors", "tokenizer.json")


def checkpoint_folder(model: Path) -> tuple[Path, dict[str, Any]]:
    """The folder, local or from the hub, and its configuration. Raises AegisError for what is missing."""
    folder = model_folder(model, FILES)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise AegisError(
            f"{folder} lacks {', '.join(missing)}: expected a model folder in Hugging Face format"
        )
    return folder, read_config(folder / "config.json")


def load_bert(model: Path, kind: str, *, spare: tuple[str, ...] = ()) -> tuple[Path, Any, Any]:
    """(folder, model in evaluation mode, tokenizer). kind, spare: as `load_pretrained`.

    Raises AegisError, UnsupportedModuleError.
    """
    folder, facts = checkpoint_folder(model)
    if facts.get("model_type") != "bert":
        raise UnsupportedModuleError(
            f"{folder}: model type {facts.get('model_type')!r} is not supported yet; supported: 'bert'"
        )
    return folder, *load_pretrained(folder, kind, spare=spare)


def load_decoder_folder(model: Path, kind: str) -> tuple[Any, Any]:
    """The causal language model of a folder, or of owner/name of the hub, and its tokenizer.

    kind: the model_type that is expected, "gpt2" or "llama". Raises AegisError, UnsupportedModuleError for
    another type.
    """
    folder, facts = checkpoint_folder(model)
    if facts.get("model_type") != kind:
        raise UnsupportedModuleError(f"{folder}: model type {facts.get('model_type')!r}, expected {kind!r}")
    return load_pretrained(folder, "AutoModelForCausalLM")


def load_pretrained(folder: Path, kind: str, *, spare: tuple[str, ...] = ()) -> tuple[Any, Any]:
    """(model in evaluation mode, tokenizer); reads safetensors files only.

    kind: a class of transformers. spare: prefixes of weights that may be missing, because they are not used.
    Raises AegisError.
    """
    import transformers
    from tokenizers import Tokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        loaded, info = getattr(transformers, kind).from_pretrained(
            folder,
            attn_implementation="sdpa",
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the libraries raise many types, some of them plain Exception
        lines = str(error).splitlines() or [type(error).__name__]
        raise AegisError(f"{folder} holds a damaged or unusual model: {lines[0]}") from error
    # The library fills gaps with random numbers.
    lost = sorted(name for name in info["missing_keys"] if not name.startswith(spare))
    if lost:
        raise AegisError(f"{folder}: model.safetensors lacks {', '.join(lost[:3])} ({len(lost)} in all)")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return loaded.eval(), tokenizer
