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
from aegis_fhe.program.network import Gelu, LayerNorm, MeanTokens, RmsNorm, Silu
from aegis_fhe.program.network.operators import NetworkOperator


def linear(call: Call, builder: NetworkBuilder) -> View:
    """aten.linear(input, weight [out, in], bias)."""
    return _linear(call, builder, call["input"], call["weight"], call["bias"])


def matmul(call: Call, builder: NetworkBuilder) -> View:
    """aten.matmul(input, weight [in, out]) with a constant weight."""
    return _linear(call, builder, call["self"], transposed(call["other"]), None)


def addmm(call: Call, builder: NetworkBuilder) -> View:
    """aten.addmm(bias, input, weight [in, out]), as GPT-2's Conv1D calls it."""
    if call["beta"] != 1 or call["alpha"] != 1:
        raise call.refusal("weighs its terms; nearest supported form: Linear, with the factor in its weight")
    return _linear(call, builder, call["mat1"], transposed(call["mat2"]), call["self"])


def layer_norm(call: Call, builder: NetworkBuilder) -> View:
    """aten.layer_norm over the features alone."""
    size = call.shape[-1]
    if list(call["normalized_shape"]) != [size]:
        raise call.refusal(f"must be over the {size} features alone")
    operator = LayerNorm(
        weight=_vector(call, builder, call["weight"], size),
        bias=_vector(call, builder, call["bias"], size),
        epsilon=float(call["eps"]),
        features=size,
    )
    return builder.append(call, operator, [builder.rows(call, call["input"])], size)


def rms_norm(call: Call, builder: NetworkBuilder) -> View:
    """aten.rms_norm over the features alone."""
    if list(call["normalized_shape"]) != [call.shape[-1]]:
        raise call.refusal(f"must be over the {call.shape[-1]} features alone")
    epsilon = torch.finfo(torch.float32).eps if call["eps"] is None else call["eps"]
    return rms_norm_of(call, builder, call["input"], call["weight"], float(epsilon))


def rms_norm_of(call: Call, builder: NetworkBuilder, x: View, weight: Any, epsilon: float) -> View:
    """x / sqrt(mean(x^2) + epsilon) * weight."""
    size = call.shape[-1]
    operator = RmsNorm(weight=_vector(call, builder, weight, size), epsilon=epsilon, features=size)
    return builder.append(call, operator, [builder.rows(call, x)], size)


def gelu(call: Call, builder: NetworkBuilder) -> View:
    """aten.gelu, exact or approximated by tanh."""
    return elementwise(call, builder, Gelu(tanh=call["approximate"] == "tanh"), call["self"])


def silu(call: Call, builder: NetworkBuilder) -> View:
    """aten.silu."""
    return elementwise(call, builder, Silu(), call["self"])


def is_layer(call: Call) -> bool:
    """Whether arithmetic is a node by itself: a mean over tokens, a product with a weight matrix."""
    if call.operator != "mean":
        return call.operator == "matmul" and isinstance(call["other"], Constant)
    rank = len(call.shape) + (0 if call["keepdim"] else len(call["dim"]))
    return [dim % rank for dim in call["dim"]] != [rank - 1]


def mean(call: Call, builder: NetworkBuilder) -> View:
    """aten.mean over all tokens."""
    source = builder.rows(call, call["self"])
    shape = call["self"].entries.shape
    dims = {dim % len(shape) for dim in call["dim"]}
    averaged = torch.Size(shape[dim] for dim in dims).numel()
    if len(shape) - 1 in dims or averaged != builder.rows_of(source):
        raise call.refusal("must be over all tokens; nearest supported form: MeanTokens (x.mean(dim=1))")
    return builder.append(call, MeanTokens(), [source], call.shape[-1], rows=1)


def elementwise(call: Call, builder: NetworkBuilder, operator: NetworkOperator, *operands: Any) -> View:
    """An operator on values of one shape, element by element."""
    if any(isinstance(part, View) and tuple(part.entries.shape) != call.shape for part in operands):
        raise call.refusal("combines values of different shapes")
    sources = [builder.rows(call, part) for part in operands]
    return builder.append(call, operator, sources, call.shape[-1])


def transposed(weight: Any) -> Any:
    """A constant matrix [in, out] as Linear's weight [out, in]."""
    return Constant(weight.tensor.t(), weight.origin) if isinstance(weight, Constant) else weight


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
    "addmm": addmm,
    "linear": linear,
    "matmul": matmul,
    "layer_norm": layer_norm,
    "gelu": gelu,
    "silu": silu,
    "mean": mean,
    "rms_norm": rms_norm,
    "scaled_dot_product_attention": attention,
}
