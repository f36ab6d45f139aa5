"""A decoder in Hugging Face format: config.json, model.safetensors, tokenizer.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from aegis_fhe.errors import AegisError, UnsupportedModuleError
from aegis_fhe.models.config_file import read_config
from aegis_fhe.models.hub import model_folder

FILES = ("config.json", "model.safetensors", "tokenizer.json")


def load_folder(model: Path, kind: str) -> tuple[Any, Any]:
    """The causal language model of a folder, or of owner/name of the hub, and its tokenizer.

    kind: the model_type that is expected, "gpt2" or "llama". Reads safetensors files only. Raises AegisError,
    UnsupportedModuleError for another type.
    """
    folder = model_folder(model, FILES)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise AegisError(
            f"{folder} lacks {', '.join(missing)}: expected a model folder in Hugging Face format"
        )
    found = read_config(folder / "config.json").get("model_type")
    if found != kind:
        raise UnsupportedModuleError(f"{folder}: model type {found!r}, expected {kind!r}")
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            attn_implementation="sdpa",
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
        network, info = loaded
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the libraries raise many types, some of them plain Exception
        lines = str(error).splitlines() or [type(error).__name__]
        raise AegisError(f"{folder} holds a damaged or unusual model: {lines[0]}") from error
    lost = sorted(info["missing_keys"])  # the library fills gaps with random numbers
    if lost:
        raise AegisError(f"{folder}: model.safetensors lacks {', '.join(lost[:3])} ({len(lost)} in all)")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return network.eval(), tokenizer
