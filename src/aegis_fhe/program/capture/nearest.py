"""What to use instead of an operator that a network does not have."""

from __future__ import annotations

_ACTIVATION = "Gelu (torch.nn.GELU)"
_GATE = "Silu (torch.nn.SiLU)"
_NORM = "LayerNorm (torch.nn.LayerNorm)"
_LINEAR = "Linear (torch.nn.Linear)"
_MEAN = "MeanTokens (x.mean(dim=1))"
_ATTENTION = "Attention (torch.nn.functional.scaled_dot_product_attention)"

NEAREST_FORM = {
    "relu": _ACTIVATION,
    "relu6": _ACTIVATION,
    "leaky_relu": _ACTIVATION,
    "prelu": _ACTIVATION,
    "rrelu": _ACTIVATION,
    "elu": _ACTIVATION,
    "selu": _ACTIVATION,
    "celu": _ACTIVATION,
    "softplus": _ACTIVATION,
    "threshold": _ACTIVATION,
    "clamp": _ACTIVATION,
    "clamp_min": _ACTIVATION,
    "abs": _ACTIVATION,
    "maximum": _ACTIVATION,
    "glu": _GATE,
    "hardswish": _GATE,
    "hardsigmoid": _GATE,
    "mish": _GATE,
    "sigmoid": _GATE,
    "hardtanh": "Tanh (torch.nn.Tanh)",
    "softsign": "Tanh (torch.nn.Tanh)",
    "batch_norm": _NORM,
    "group_norm": _NORM,
    "instance_norm": _NORM,
    "norm": "RmsNorm (torch.nn.RMSNorm)",
    "linalg_vector_norm": "RmsNorm (torch.nn.RMSNorm)",
    "conv1d": _LINEAR,
    "conv2d": _LINEAR,
    "conv3d": _LINEAR,
    "convolution": _LINEAR,
    "bilinear": _LINEAR,
    "einsum": f"{_LINEAR} or {_ATTENTION}",
    "bmm": f"{_LINEAR} or {_ATTENTION}",
    "matmul": f"{_LINEAR} or {_ATTENTION}",
    "softmax": _ATTENTION,
    "lstm": _ATTENTION,
    "gru": _ATTENTION,
    "rnn_tanh": _ATTENTION,
    "rnn_relu": _ATTENTION,
    "adaptive_avg_pool1d": _MEAN,
    "adaptive_avg_pool2d": _MEAN,
    "avg_pool1d": _MEAN,
    "avg_pool2d": _MEAN,
    "max_pool1d": _MEAN,
    "max_pool2d": _MEAN,
    "max": _MEAN,
    "amax": _MEAN,
    "sum": _MEAN,
    "embedding": "Linear on hidden states; token ids are looked up once, before everything else",
    "topk": "one feed-forward block of Linear, Gelu or Silu and Multiply for all tokens",
    "log_softmax": "logits; the client computes probabilities after decryption",
    "argmax": "logits; the client chooses after decryption",
    "pow": "Multiply (x * x)",
    "erf": _ACTIVATION,
    "rsqrt": f"{_NORM} or RmsNorm (torch.nn.RMSNorm)",
    "mean": f"{_NORM}, RmsNorm (torch.nn.RMSNorm) or {_MEAN}",
    "sub": "Add, with the minus sign in a Linear's weight",
    "div": "Linear, with the divisor in its weight",
}

SUPPORTED = (
    "Linear, Attention, Rotary, LayerNorm, RmsNorm, Gelu, Silu, Tanh, Add, Multiply, TakeToken, MeanTokens"
)


def nearest_form(operator: str) -> str:
    """The nearest supported form of an operator, in place or not; all forms where none is near."""
    return NEAREST_FORM.get(operator.removesuffix("_"), f"one of {SUPPORTED}")
