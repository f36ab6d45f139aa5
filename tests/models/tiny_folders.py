"""Tiny causal language models in Hugging Face format, with a tokenizer of whole words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from program.long.tiny_decoders import calm_gpt2, calm_llama, gpt2_config, llama_config

START = "<|endoftext|>"
WORDS = [START, "[UNK]", *(f"w{i}" for i in range(38))]


def tiny_gpt2_lm() -> Any:
    """Two layers of GPT-2 with biases, and scores that need no rounds."""
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel(gpt2_config(len(WORDS), positions=24)).eval()
    calm_gpt2(model.transformer)
    return model


def tiny_llama_lm() -> Any:
    """Two layers of LLaMA, and scores that need no rounds."""
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM(llama_config(len(WORDS), bos_token_id=0, eos_token_id=0)).eval()
    calm_llama(model.model)
    return model


def save_folder(model: Any, folder: Path) -> Path:
    """config.json, model.safetensors, tokenizer.json."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def sample_texts(count: int, words: int, seed: int = 4) -> list[str]:
    """Random texts of so many words."""
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{i}" for i in rng.integers(0, 38, words)) for _ in range(count)]
