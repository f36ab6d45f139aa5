"""Attention: which features of queries, keys and values each head reads."""

from __future__ import annotations

import math
from typing import Any

import torch

from aegis_fhe.program.capture.builder import NetworkBuilder
from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.masks import is_causal
from aegis_fhe.program.capture.views import View
from aegis_fhe.program.network import Attention


def attention(call: Call, builder: NetworkBuilder) -> View:
    """aten.scaled_dot_product_attention on [1, heads, tokens, head_dim]."""
    scale = call["scale"]
    causal = bool(call["is_causal"]) or is_causal(call, call["attn_mask"], call.shape[-2])
    if call["dropout_p"]:
        raise call.refusal("drops weights at random; put the module into evaluation mode")
    if scale is None:
        scale = 1 / math.sqrt(call.shape[-1])
    keys, values = call["key"], call["value"]
    if call["enable_gqa"]:
        keys, values = _repeated(keys, call.shape[-3]), _repeated(values, call.shape[-3])
    return softmax_attention(call, builder, (call["query"], keys, values), float(scale), causal)


def softmax_attention(
    call: Call, builder: NetworkBuilder, operands: tuple[Any, Any, Any], scale: float, causal: bool
) -> View:
    """softmax(scale Q K^T) V as one node; heads that share keys and values are found by their features."""
    queries, keys, values = (heads_of(call, builder, part) for part in operands)
    heads, head_dim = queries.shape
    shared = max(_repeats(keys), _repeats(values))
    if not _shares(keys, shared, heads) or not _shares(values, shared, heads):
        raise call.refusal(f"needs one key-value head for every {shared} of its {heads} query heads")
    sources = [
        builder.columns(call, view, columns.reshape(-1))
        for view, columns in zip(operands, (queries, keys[::shared], values[::shared]), strict=True)
    ]
    operator = Attention(
        heads=heads, key_value_heads=heads // shared, head_dim=head_dim, scale=scale, causal=causal
    )
    made = builder.append(call, operator, sources, heads * head_dim)
    tokens = builder.rows_of(made.value)
    return made.with_entries(by_head(tokens, heads, head_dim).reshape(call.shape))


def _repeated(shared: Any, heads: int) -> Any:
    """Keys or values [1, key-value heads, tokens, head_dim] with a head for every query head."""
    if not isinstance(shared, View):
        return shared
    times = heads // shared.entries.shape[-3]
    return shared.with_entries(shared.entries.repeat_interleave(times, dim=-3))


def by_head(tokens: int, heads: int, head_dim: int) -> torch.Tensor:
    """Element numbers of a value [tokens, heads * head_dim] as [heads, tokens, head_dim]."""
    return torch.arange(tokens * heads * head_dim).reshape(tokens, heads, head_dim).transpose(0, 1)


def heads_of(call: Call, builder: NetworkBuilder, operand: Any) -> torch.Tensor:
    """The features [heads, head_dim] that a value's heads are."""
    columns = operand.by_heads() if isinstance(operand, View) else None
    if columns is None or operand.entries.shape[-2] != builder.tokens:
        raise call.refusal("needs [1, heads, tokens, head_dim] with all tokens in order")
    return columns


def _repeats(columns: torch.Tensor) -> int:
    """How often the first head comes before another one."""
    differs = (columns != columns[0]).any(dim=1).nonzero()
    return int(differs[0]) if len(differs) else len(columns)


def _shares(columns: torch.Tensor, shared: int, heads: int) -> bool:
    return heads == len(columns) and torch.equal(columns, columns[::shared].repeat_interleave(shared, dim=0))
