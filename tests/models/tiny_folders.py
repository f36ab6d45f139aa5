"""Tiny causal language models in Hugging Face format, with a tokenizer of whole words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

START = "<|endoftext|>"
WORDS = [START, "[UNK]", *(f"w{i}" for i in range(38))]


def tiny_gpt2_lm() -> Any:
    """Two layers of GPT-2 with biases, and scores that need no rounds."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(6)
    config = GPT2Config(
        vocab_size=len(WORDS),
        n_embd=16,
        n_layer=2,
        n_head=4,
        n_positions=24,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0.0, 0.1)
        for block in model.transformer.h:
            block.attn.c_attn.weight[:, :16] *= 0.25
    return model


def tiny_llama_lm() -> Any:
    """Two layers of LLaMA, and scores that need no rounds."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight *= 0.25
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
