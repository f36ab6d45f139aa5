"""A tiny LLaMA in GGUF, written as llama.cpp's converter writes it: pairs to rotate lie side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

TEXT_WORDS = ["the", "Ġthe", "cat"]


def tiny_llama(*, tied: bool = True, vocabulary: int = 300):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        tie_word_embeddings=tied,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config).eval()


def side_by_side(weight: np.ndarray, heads: int) -> np.ndarray:
    """Feature i of a head's first half before feature i of its second, one row at a time."""
    size = len(weight) // heads
    order = [
        h * size + half * (size // 2) + i for h in range(heads) for i in range(size // 2) for half in (0, 1)
    ]
    return weight[order]


def byte_tokens() -> tuple[list[str], list[str]]:
    """Tokens and merges of a byte-level BPE that knows three words."""
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(ByteLevel.alphabet())]
    merges = ["t h", "th e", "Ġ the", "c a", "ca t"]
    return tokens + [m.replace(" ", "") for m in merges], merges


NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def tiny_model():
    """The model whose vocabulary fits the tokens of `byte_tokens`."""
    return tiny_llama(vocabulary=len(byte_tokens()[0]))


def write_gguf(
    path: Path, model, *, quantised: bool = False, architecture: str = "llama", pre: str = "smollm"
):
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize

    config = model.config
    writer = GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    tokens, merges = byte_tokens()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)

    def add(name: str, tensor: torch.Tensor, heads: int | None = None) -> None:
        values = tensor.detach().numpy()
        values = values if heads is None else side_by_side(values, heads)
        if quantised and values.ndim == 2:
            kind = GGMLQuantizationType.Q4_1 if "ffn" in name else GGMLQuantizationType.Q8_0
            writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)

    state = model.state_dict()
    add("token_embd.weight", state["model.embed_tokens.weight"])
    add("output_norm.weight", state["model.norm.weight"])
    if not config.tie_word_embeddings:
        add("output.weight", state["lm_head.weight"])
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for layer in range(config.num_hidden_layers):
        for theirs, name in NAMES.items():
            tensor = state[f"model.layers.{layer}.{theirs}.weight"]
            add(f"blk.{layer}.{name}.weight", tensor, heads.get(name))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
