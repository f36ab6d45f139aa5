"""A LLaMA model out of a GGUF checkpoint, as an unmodified transformers.LlamaForCausalLM in float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import AegisError, UnsupportedModuleError
from aegis_fhe.models.gguf_checkpoint import GgufCheckpoint

Array = NDArray[np.float32]


def llama_from_gguf(checkpoint: GgufCheckpoint) -> Any:
    """The model, ready for inference. Raises UnsupportedModuleError for other architectures."""
    kind = checkpoint.metadata("general.architecture")
    if kind != "llama":
        raise UnsupportedModuleError(
            f"{checkpoint.path}: architecture {kind!r} is not supported; supported: 'llama'"
        )
    from transformers import LlamaForCausalLM

    config = _config(checkpoint)
    with torch.device("meta"):  # no time on random numbers that the checkpoint overwrites
        model: Any = LlamaForCausalLM(config)
    weights = {name: torch.from_numpy(value) for name, value in _weights(checkpoint, config)}
    missing = model.load_state_dict(weights, strict=False, assign=True).missing_keys
    if set(missing) - ({"lm_head.weight"} if config.tie_word_embeddings else set()):
        raise AegisError(f"{checkpoint.path} lacks {missing[0]} ({len(missing)} in all)")
    model.tie_weights()
    model.model.rotary_emb = type(model.model.rotary_emb)(config=config)
    return model.eval()


def to_half_split(rows: Array, heads: int) -> Array:
    """Rows of q or k from llama.cpp's order of features to that of transformers, [heads * head_dim, in].

    llama.cpp rotates neighbours (2i, 2i + 1), transformers (i, i + head_dim / 2).
    """
    by_pair = rows.reshape(heads, -1, 2, rows.shape[1])
    return np.ascontiguousarray(by_pair.swapaxes(1, 2)).reshape(rows.shape)


def _config(checkpoint: GgufCheckpoint) -> Any:
    from transformers import LlamaConfig

    def fact(name: str) -> Any:
        return checkpoint.metadata(f"llama.{name}")

    base = fact("rope.freq_base")
    facts: dict[str, Any] = {
        "vocab_size": len(checkpoint.metadata("tokenizer.ggml.tokens")),
        "hidden_size": fact("embedding_length"),
        "intermediate_size": fact("feed_forward_length"),
        "num_hidden_layers": fact("block_count"),
        "num_attention_heads": fact("attention.head_count"),
        "num_key_value_heads": fact("attention.head_count_kv"),
        "max_position_embeddings": fact("context_length"),
        "rms_norm_eps": fact("attention.layer_norm_rms_epsilon"),
        # transformers 5 reads the first of these two, transformers 4 the second.
        "rope_parameters": {"rope_type": "default", "rope_theta": base},
        "rope_theta": base,
        "tie_word_embeddings": "output.weight" not in checkpoint.tensors,
        "bos_token_id": checkpoint.metadata("tokenizer.ggml.bos_token_id"),
        "eos_token_id": checkpoint.metadata("tokenizer.ggml.eos_token_id"),
        "attn_implementation": "sdpa",
    }
    return LlamaConfig(**facts)


def _weights(checkpoint: GgufCheckpoint, config: Any) -> Iterator[tuple[str, Array]]:
    """Names of transformers, and values."""
    d, vocabulary = config.hidden_size, config.vocab_size
    yield "model.embed_tokens.weight", checkpoint.tensor("token_embd.weight", (vocabulary, d))
    yield "model.norm.weight", checkpoint.tensor("output_norm.weight", (d,))
    if not config.tie_word_embeddings:
        yield "lm_head.weight", checkpoint.tensor("output.weight", (vocabulary, d))
    for layer in range(config.num_hidden_layers):
        yield from _layer(checkpoint, config, layer)


def _layer(checkpoint: GgufCheckpoint, config: Any, layer: int) -> Iterator[tuple[str, Array]]:
    d, hidden = config.hidden_size, config.intermediate_size
    query = d
    key = d // config.num_attention_heads * config.num_key_value_heads

    def tensor(name: str, *shape: int) -> Array:
        return checkpoint.tensor(f"blk.{layer}.{name}.weight", shape)

    values = {
        "input_layernorm": tensor("attn_norm", d),
        "self_attn.q_proj": to_half_split(tensor("attn_q", query, d), config.num_attention_heads),
        "self_attn.k_proj": to_half_split(tensor("attn_k", key, d), config.num_key_value_heads),
        "self_attn.v_proj": tensor("attn_v", key, d),
        "self_attn.o_proj": tensor("attn_output", d, query),
        "post_attention_layernorm": tensor("ffn_norm", d),
        "mlp.gate_proj": tensor("ffn_gate", hidden, d),
        "mlp.up_proj": tensor("ffn_up", hidden, d),
        "mlp.down_proj": tensor("ffn_down", d, hidden),
    }
    for name, value in values.items():
        yield f"model.layers.{layer}.{name}.weight", value
