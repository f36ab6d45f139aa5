"""A tiny attention sub-layer with ranges found by brute force: the programs of the fast tests."""

from __future__ import annotations

import math

import numpy as np
import torch

from aegis_fhe.program import AttentionRanges, Interval


class TinyAttention(torch.nn.Module):
    """Post-norm self-attention, written as anybody would."""

    def __init__(self, features: int = 32, heads: int = 4, seed: int = 7) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.heads = heads
        self.query = torch.nn.Linear(features, features)
        self.key = torch.nn.Linear(features, features)
        self.value = torch.nn.Linear(features, features)
        self.output = torch.nn.Linear(features, features)
        self.norm = torch.nn.LayerNorm(features, eps=1e-6)
        torch.nn.init.normal_(self.norm.weight, 1.0, 0.2)
        torch.nn.init.normal_(self.norm.bias, 0.0, 0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, features = x.shape
        q, k, v = (
            layer(x).view(batch, tokens, self.heads, features // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return self.norm(x + self.output(attended.transpose(1, 2).reshape(batch, tokens, features)))


def hidden_states(tokens: int, features: int = 32, seed: int = 3) -> np.ndarray:
    """Rows of about unit variance."""
    return np.random.default_rng(seed).normal(size=(tokens, features))


def wide_ranges(module: TinyAttention, x: np.ndarray, anchor: float = 0.5) -> AttentionRanges:
    """Ranges measured on x itself, with a margin; one head is anchored, offsets are arbitrary but harmless."""
    with torch.no_grad():
        hidden = torch.from_numpy(x)[None]
        module = module.double()
        tokens, features = x.shape
        dim = features // module.heads
        q, k = (
            layer(hidden).view(1, tokens, module.heads, dim).transpose(1, 2)[0]
            for layer in (module.query, module.key)
        )
        offset = 0.1 * torch.arange(module.heads * dim, dtype=torch.float64).reshape(module.heads, 1, dim).sin()
        scores = q @ k.transpose(1, 2) / math.sqrt(dim)
        previous = torch.cat([scores[:, :1, 0], scores.diagonal(-1, 1, 2)], dim=1)
        anchors = torch.zeros(module.heads, dtype=torch.float64)
        anchors[1] = anchor
        relative = q @ (k - offset).transpose(1, 2) / math.sqrt(dim) - (anchors[:, None] * previous)[:, :, None] - 0.2
        high = relative.max().item() + 0.3
        denominator = (relative - high).exp().sum(-1)
        residual = module(hidden)[0] * 0 + hidden[0]
        variance = (residual + module.output(torch.zeros(1, dtype=torch.float64).expand(features))).var(-1)
        module.float()
    return AttentionRanges(
        key_offset=tuple(tuple(row) for row in offset[:, 0].tolist()),
        shift=(0.2,) * module.heads,
        anchor=tuple(anchors.tolist()),
        score=Interval(relative.min().item() - 0.3, high),
        denominator=Interval(denominator.min().item() / 2, 1.5 * denominator.max().item()),
        variance=Interval(variance.min().item() / 4, 3 * variance.max().item()),
        origin="measured on the test's own input",
    )
