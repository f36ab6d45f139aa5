"""Operators that are a node by themselves: what they need, and the node that they become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from aegis_fhe.program.capture.builder import NetworkBuilder
from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.constants import Constant, row
from aegis_fhe.program.capture.heads import attention
from aegis_fhe.program.capture.views import View
from aegis_fhe.program.network import Gelu, LayerNorm, MeanTokens, Silu, Tanh
from aegis_fhe.program.network.operators import NetworkOperator


def linear(call: Call, builder: NetworkBuilder) -> View:
    """aten.linear(input, weight [out, in], bias)."""
    return _linear(call, builder, call["input"], call["weight"], call["bias"])


def layer_norm(call: Call, builder: NetworkBuilder) -> View:
    """aten.layer_norm over the features alone."""
    (features, *others), size = call["normalized_shape"], call.shape[-1]
    if others or features != size:
        raise call.refusal(f"must be over the {size} features alone")
    operator = LayerNorm(
        weight=_vector(call, builder, call["weight"], size),
        bias=_vector(call, builder, call["bias"], size),
        epsilon=float(call["eps"]),
        features=size,
    )
    return builder.append(call, operator, [builder.rows(call, call["input"])], size)


def gelu(call: Call, builder: NetworkBuilder) -> View:
    """aten.gelu, exact or approximated by tanh."""
    return elementwise(call, builder, Gelu(tanh=call["approximate"] == "tanh"), call["self"])


def silu(call: Call, builder: NetworkBuilder) -> View:
    """aten.silu."""
    return elementwise(call, builder, Silu(), call["self"])


def tanh(call: Call, builder: NetworkBuilder) -> View:
    """aten.tanh."""
    return elementwise(call, builder, Tanh(), call["self"])


def mean(call: Call, builder: NetworkBuilder) -> View:
    """aten.mean over all tokens."""
    operand = call["self"]
    found = operand.by_rows() if isinstance(operand, View) else None
    dims = {dim % operand.entries.dim() for dim in call["dim"] or ()} if found else set()
    sizes = [operand.entries.shape[dim] for dim in dims]
    if found is None or not dims or max(dims) == operand.entries.dim() - 1:
        raise call.refusal("must be over the tokens; nearest supported form: MeanTokens (x.mean(dim=1))")
    source = builder.rows(call, operand)
    if torch.Size(sizes).numel() != builder.rows_of(source):
        raise call.refusal("must be over all tokens; nearest supported form: MeanTokens (x.mean(dim=1))")
    return builder.append(call, MeanTokens(), [source], call.shape[-1], rows=1)


def elementwise(call: Call, builder: NetworkBuilder, operator: NetworkOperator, *operands: Any) -> View:
    """An operator on values of one shape, element by element."""
    if any(isinstance(part, View) and tuple(part.entries.shape) != call.shape for part in operands):
        raise call.refusal("combines values of different shapes")
    sources = [builder.rows(call, part) for part in operands]
    return builder.append(call, operator, sources, call.shape[-1])


def _linear(call: Call, builder: NetworkBuilder, source: Any, weight: Any, bias: Any) -> View:
    if not isinstance(weight, Constant) or weight.tensor.dim() != 2:
        raise call.refusal("needs a weight matrix that is known at capture, not computed from the input")
    if bias is not None:
        bias = row(bias, weight.tensor.shape[0])
        if bias is None:
            raise call.refusal("needs a bias of one number per feature that is known at capture")
    return builder.linear(call, builder.rows(call, source), weight, bias)


def _vector(call: Call, builder: NetworkBuilder, value: Any, size: int) -> str | None:
    if value is None:
        return None
    constant = row(value, size)
    if constant is None:
        raise call.refusal("needs weights of one number per feature that are known at capture")
    return builder.weight(constant)


LAYERS: dict[str, Callable[[Call, NetworkBuilder], View]] = {
    "linear": linear,
    "layer_norm": layer_norm,
    "gelu": gelu,
    "silu": silu,
    "mean": mean,
    "scaled_dot_product_attention": attention,
}
