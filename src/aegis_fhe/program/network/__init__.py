"""What a module computes, before anything is encrypted: operators on hidden states [tokens, features]."""

from aegis_fhe.program.network.evaluate import evaluate
from aegis_fhe.program.network.graph import Network, NetworkNode
from aegis_fhe.program.network.operators import (
    Add,
    Attention,
    Gelu,
    LayerNorm,
    Linear,
    MeanTokens,
    Multiply,
    NetworkOperator,
    RmsNorm,
    Rotary,
    Silu,
    TakeToken,
    Tanh,
)
from aegis_fhe.program.network.part import part_of

__all__ = [
    "Add",
    "Attention",
    "Gelu",
    "LayerNorm",
    "Linear",
    "MeanTokens",
    "Multiply",
    "Network",
    "NetworkNode",
    "NetworkOperator",
    "RmsNorm",
    "Rotary",
    "Silu",
    "TakeToken",
    "Tanh",
    "evaluate",
    "part_of",
]
