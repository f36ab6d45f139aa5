"""The tokenizer of a GGUF checkpoint: byte-level BPE out of its metadata."""

from __future__ import annotations

from typing import Any

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.models.gguf_checkpoint import GgufCheckpoint

_CONTROL = 3  # token type of llama.cpp: never part of ordinary text


def tokenizer_from_gguf(checkpoint: GgufCheckpoint) -> Any:
    """A tokenizers.Tokenizer that adds no special tokens by itself.

    Raises UnsupportedModuleError unless the file holds GPT-2's byte-level BPE with SmolLM's splitting (every
    digit by itself) or GPT-2's own.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    kind = checkpoint.metadata("tokenizer.ggml.model")
    split = checkpoint.metadata("tokenizer.ggml.pre")
    if kind != "gpt2" or split not in ("smollm", "gpt-2"):
        raise UnsupportedModuleError(
            f"{checkpoint.path}: tokenizer {kind!r}, split as {split!r}, is not supported; "
            "supported: 'gpt2', split as 'smollm' or 'gpt-2'"
        )
    tokens = checkpoint.metadata("tokenizer.ggml.tokens")
    merges = [tuple(pair.split(" ", 1)) for pair in checkpoint.metadata("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    digits = [pre_tokenizers.Digits(individual_digits=True)] if split == "smollm" else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = checkpoint.metadata("tokenizer.ggml.token_type")
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer
